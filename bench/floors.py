"""Floors on accuracy over real language models' logged outcomes: what is shown, and at what price.

    FEASIBLE_DATA_DIR=DIR python -m bench.floors --splits 50

Rows are 1,276 queries of the Berkeley Function-Calling Leaderboard, run of 2024-08-11 (data set
`llm_bfcl_outcomes`). Tiers are all models whose calls all have a price in the log; the others are
left out, since no price is made up and no query dropped. The log has no scores: a planner can
choose between models, or route by the text of the query, which is the question alone or
`[category] question`.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq
from bench.bfcl_to_profile import bfcl_folder, bfcl_table
from bench.halves import Halves, Made, brief_of, certified, each_split, halves
from bench.page import Section, table
from bench.peers.mapie_choice import has_mapie, mapie_choice
from bench.peers.oracle import oracle
from bench.peers.outcomes import outcomes
from bench.peers.singles import cheapest_shown, cheapest_that_kept

from feasible.planning import read_profile
from feasible.schema import Brief, Profile

__all__ = ["POOLS", "bfcl_profile", "run"]

_FLOORS = (0.82, 0.84, 0.86)
_LEVEL = 0.9
_DEAREST = "claude-3-5-sonnet-20240620"
"""The most accurate model of the log."""
POOLS = {
    "gpt-4o-mini, claude-3.5-sonnet": ("gpt-4o-mini-2024-07-18", _DEAREST),
    "claude-3-haiku, claude-3.5-sonnet": ("claude-3-haiku-20240307", _DEAREST),
    "gpt-4o-mini, gpt-4-0613": ("gpt-4o-mini-2024-07-18", "gpt-4-0613"),
    "claude-3-haiku, yi-large": ("claude-3-haiku-20240307", "yi-large-fc"),
    "five": (
        "gpt-3.5-turbo-0125",
        "claude-3-haiku-20240307",
        "yi-large-fc",
        "gpt-4-0125-preview",
        _DEAREST,
    ),
}
"""Models that a team might have at hand; `five` is of three vendors, without gpt-4o-mini."""
_BRIEF = """\
feasible: 1
name: calls
goal: {{statement: Call the right function with the right arguments}}
envelope:
  - {{quality: accuracy, at_least: {floor}, confidence_level: {level}}}
"""


@dataclass(frozen=True)
class _Single:
    """A peer's choice of one model.

    Attributes:
        tier: The model; None when the rule chose none.
        usd: Mean dollars a decision on the rows kept aside.
        broke: Whether accuracy there is below the floor.
        broke_everywhere: Whether it is on all rows.
    """

    tier: str | None
    usd: float = float("nan")
    broke: bool = False
    broke_everywhere: bool = False


@dataclass(frozen=True)
class _Split:
    """What ours and the peers made of one split."""

    ours: Made
    peers: dict[str, _Single]
    oracle_usd: float


def bfcl_profile(folder: Path, models: Sequence[str] | None = None, *, category: bool) -> Profile:
    """Give the log as a profile.

    Args:
        folder: Folder of the data set.
        models: Tiers; all models whose calls all have a price when absent.
        category: Whether the text starts with the query's category.
    """
    if models is None:
        log = pq.read_table(folder / "outcomes.parquet", columns=["model", "cost_usd"])
        gaps = set(log.filter(log["cost_usd"].is_null())["model"].to_pylist())
        models = sorted(set(log["model"].to_pylist()) - gaps)
    found = bfcl_table(folder, {model: model for model in models}, category=category)
    with TemporaryDirectory() as place:
        path = Path(place) / "bfcl.parquet"
        pq.write_table(found, path)
        return read_profile(path)


def _split(task: tuple[Brief, Profile, int, bool]) -> _Split:
    """Let every rule choose on one half and judge it on the other."""
    brief, profile, number, with_peers = task
    rows = halves(profile, number)
    ours = certified(brief, profile, rows, data="bfcl", number=number)
    peers = _peers(brief, profile, rows) if with_peers else {}
    return _Split(ours, peers, oracle(profile.take(rows.aside)))


def _peers(brief: Brief, profile: Profile, rows: Halves) -> dict[str, _Single]:
    planned = profile.take(rows.planned)
    chosen = {
        "cheapest single, shown (Holm)": cheapest_shown(brief, planned),
        "cheapest single that kept it": cheapest_that_kept(brief, planned),
    }
    if has_mapie():
        (promise,) = brief.envelope
        floor = 0.0 if promise.limit is None else promise.limit.mid
        right = (planned.loss == 0).astype(np.int64)
        found = mapie_choice(
            right,
            np.ones(len(planned), dtype=np.int64),
            {"accuracy": floor},
            confidence_level=promise.confidence_level,
        )
        price = np.nanmean(planned.cost_usd, axis=0)
        cheapest = min(found.valid, key=lambda k: float(price[k]), default=None)
        chosen["MAPIE's choice"] = None if found.own is None else profile.tiers[found.own]
        chosen["cheapest that MAPIE holds valid"] = (
            None if cheapest is None else profile.tiers[cheapest]
        )
    return {rule: _judged(brief, profile, rows, tier) for rule, tier in chosen.items()}


def _judged(brief: Brief, profile: Profile, rows: Halves, tier: str | None) -> _Single:
    if tier is None:
        return _Single(None)
    seen = outcomes(brief, profile.take(rows.aside), (tier,))
    everywhere = outcomes(brief, profile, (tier,))
    return _Single(
        tier,
        float(np.nanmean(seen.usd)),
        bool(seen.broken(np.zeros(len(seen.usd), dtype=np.int64))),
        bool(everywhere.broken(np.zeros(len(everywhere.usd), dtype=np.int64))),
    )


def run(*, n_splits: int = 50, workers: int = 2, pools: bool = True) -> Section:
    """Plan at every floor, for both texts and for smaller pools, and give the tables.

    Args:
        n_splits: Random halves.
        workers: Processes.
        pools: Whether the pairs and the pool of five are planned too.
    """
    command = f"FEASIBLE_DATA_DIR=DIR python -m bench.floors --splits {n_splits}"
    title = "Floors on accuracy, language models"
    folder = bfcl_folder()
    if folder is None:
        text = "Not measured: FEASIBLE_DATA_DIR names no folder with `llm_bfcl_outcomes`."
        return Section(title, command, text)
    parts = []
    for category, named in ((False, "question"), (True, "[category] question")):
        profile = bfcl_profile(folder, category=category)
        dearest = float(np.nanmean(profile.cost_usd[:, profile.tiers.index(_DEAREST)]))
        lines = []
        for floor in _FLOORS:
            brief = brief_of(_BRIEF.format(floor=floor, level=_LEVEL))
            tasks = [(brief, profile, number, not category) for number in range(n_splits)]
            name = f"{named} {floor}"
            lines += _lines(floor, each_split(_split, tasks, name=name, workers=workers), dearest)
        parts.append(_part(named, profile, dearest, lines))
    if pools:
        parts.append(_pools(folder, n_splits, workers))
    mapie = "" if has_mapie() else "MAPIE was not installed and has no line.\n"
    text = f"{_ABOUT.format(n_splits=n_splits, level=_LEVEL)}{mapie}\n" + "\n\n".join(parts)
    return Section(title, command, text)


_ABOUT = """\
{n_splits} random halves: one half plans, the other is kept aside. The confidence level is {level}.

- *chose*: splits with a choice; for ours, a certificate on 60 % of the half that plans.
- *broke*: of these, how often accuracy was below the floor on the rows kept aside; in brackets, how
  often it would be by chance for plans exactly as their certificates counted (`bench/chance.py`).
- *wrong*: splits that chose something whose accuracy on all rows is below the floor. The confidence
  level allows 10 % of splits.
- *$ / 1,000*: median and mean over choices, on the rows kept aside; *x cheaper*: what the most
  accurate model of the log costs ({{dearest}}) over the median.
- The peers choose and test on all of the half that plans, and choose among single models.
""".replace("{{dearest}}", _DEAREST)


def _part(named: str, profile: Profile, dearest: float, lines: Sequence[Sequence[str]]) -> str:
    header = ["floor and rule", "chose", "broke (by chance)", "wrong", "$ / 1,000, median"]
    header += ["mean", "x cheaper", "s"]
    return f"""\
All {len(profile.tiers)} models with a price for every call (22 have none, 5 lack some), text =
`{named}`. {_DEAREST} costs ${dearest * 1000:.2f} per 1,000.

{table(header, lines)}"""


def _lines(floor: float, splits: Sequence[_Split], dearest: float) -> list[list[str]]:
    """Give a line for ours, for each peer and for the oracle."""
    ours = [one.ours for one in splits if one.ours.tiers]
    n = len(splits)
    usd = [one.usd for one in ours]
    plans = Counter(" > ".join(one.tiers) for one in ours).most_common(1)
    most = f" ({plans[0][0]}: {plans[0][1]})" if plans else ""
    lines = [
        [
            f"{floor}: ours{most}",
            f"{len(ours)} of {n}",
            f"{sum(bool(one.aside) for one in ours)} ({sum(one.expected for one in ours):.1f})",
            str(sum(bool(one.everywhere) for one in ours)),
            *_money(usd, dearest),
            f"{np.median([one.ours.seconds for one in splits]):.2f}",
        ]
    ]
    for rule in splits[0].peers:
        made = [one.peers[rule] for one in splits if one.peers[rule].tier is not None]
        lines.append(
            [
                f"{floor}: {rule}",
                f"{len(made)} of {n}",
                str(sum(one.broke for one in made)),
                str(sum(one.broke_everywhere for one in made)),
                *_money([one.usd for one in made], dearest),
                "-",
            ]
        )
    wise = [one.oracle_usd for one in splits]
    lines.append([f"{floor}: oracle", "-", "-", "-", *_money(wise, dearest), "-"])
    return lines


def _money(usd: Sequence[float], dearest: float) -> list[str]:
    if not usd:
        return ["-", "-", "-"]
    median = float(np.median(usd))
    return [f"{median * 1000:.3f}", f"{np.mean(usd) * 1000:.3f}", f"{dearest / median:.1f}"]


def _pools(folder: Path, n_splits: int, workers: int) -> str:
    lines = []
    for named, models in POOLS.items():
        profile = bfcl_profile(folder, models, category=False)
        dearest = float(np.nanmean(profile.cost_usd[:, -1]))
        for floor in _FLOORS:
            brief = brief_of(_BRIEF.format(floor=floor, level=_LEVEL))
            tasks = [(brief, profile, number, True) for number in range(n_splits)]
            found = each_split(_split, tasks, name=f"{named} {floor}", workers=workers)
            for line in _lines(floor, found, dearest):
                rule = line[0].removeprefix(f"{floor}: ").split(" (")[0]
                if rule in {"ours", "cheapest single, shown", "oracle"}:
                    lines.append([f"{named}, {floor}: {rule}", *line[1:]])
    header = ["pool, floor and rule", "chose", "broke (by chance)", "wrong", "$ / 1,000, median"]
    header += ["mean", "x cheaper", "s"]
    return f"""\
Smaller pools, text = `question`; *x cheaper* is against the pool's dearest model. `five` is
{", ".join(POOLS["five"])}.

{table(header, lines)}"""


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--splits", type=int, default=50)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--no-pools", action="store_true")
    asked = arguments.parse_args()
    found = run(n_splits=asked.splits, workers=asked.workers, pools=not asked.no_pools)
    print(found.text)
