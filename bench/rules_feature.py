"""A feature whose every request is answered by its rules: what the serving benchmarks load.

    python -m bench.rules_feature FOLDER

writes and plans it there, for `feasible serve FOLDER` by hand.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.peers.serving import desk

__all__ = ["messages", "write_rules_feature"]

_BRIEF = """\
feasible: 1
name: desk
goal: {statement: Send each message to the team that can answer it}
envelope:
  - {latency: p99, at_most: 250 ms}
  - {cost: mean, at_most: $0.30}
  - {quality: accuracy, at_least: 0.90, confidence_level: 0.95}
  - {people: reviews, at_most: 20 %}
layers:
  tiers:
    - {name: rules, kind: rules, use: "tiers:RULES", usd: $0}
    - {name: person, kind: person, usd: $1, error_rate: 2 %}
  serving: {deadline: 250 ms, fallback: {default: person}}
"""
_DATA = """\
import csv
from pathlib import Path


def examples():
    with Path(__file__).with_name("rows.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
"""
_RULES = """

from feasible.tiers import RulesTier, pattern

RULES_TIER = RulesTier(*(pattern(team, words) for team, words in TEAMS.items()))
"""
_HEAVY = """

import time


def heavy(request: dict[str, str]) -> str | None:
    \"\"\"Answer as `rules` does, after a millisecond of the processor's time.\"\"\"
    until_s = time.perf_counter() + 0.001
    while time.perf_counter() < until_s:
        pass
    return rules(request)
"""
_ROWS = 800
_WORDS = (
    "card reader", "payout", "stolen", "invoice", "webhook", "tax", "terminal", "settlement",
    "phishing", "refund", "api key", "printer",
)  # fmt: skip


def messages(count: int) -> list[tuple[str, str]]:
    """Give messages, each with the team that the rules name; no two are alike.

    Args:
        count: How many.
    """
    texts = [f"my {_WORDS[i % len(_WORDS)]} does not work since order {i}" for i in range(count)]
    return [(text, str(desk.team_of(text))) for text in texts]


def write_rules_feature(parent: Path, *, is_heavy: bool = False) -> Path:
    """Write the feature with its brief, rules and rows, plan it, and give its folder.

    It has rules and a person; the rules know nine rows of ten, and every one of `messages`.

    Args:
        parent: Folder that it is made in, as `desk`.
        is_heavy: Whether a rule takes a millisecond of the processor, so that few are too many.

    Raises:
        subprocess.CalledProcessError: `feasible plan` refused it.
    """
    folder = parent / "desk"
    folder.mkdir()
    brief = _BRIEF.replace("tiers:RULES", "tiers:heavy" if is_heavy else "tiers:RULES_TIER")
    (folder / "brief.yaml").write_text(brief, encoding="utf-8")
    (folder / "data.py").write_text(_DATA, encoding="utf-8")
    tiers = Path(desk.__file__).read_text(encoding="utf-8") + (_HEAVY if is_heavy else _RULES)
    (folder / "tiers.py").write_text(tiers, encoding="utf-8")
    lines = ["text,label,split"]
    for i, (text, team) in enumerate(messages(_ROWS)):
        split = "train" if i % 2 else "test"
        known = i % 10 < 9
        lines.append(f"{text},{team},{split}" if known else f"something else {i},billing,{split}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "feasible", "plan", str(folder), "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


if __name__ == "__main__":
    print(write_rules_feature(Path(sys.argv[1])))
