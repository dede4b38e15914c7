"""A live server with a cache by meaning: it does not give the answer to the opposite question."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import httpx
import pytest
from scipy.stats import binom

from feasible.errors import EngineMissing
from feasible.registry import weights
from feasible.testing import running_service
from feasible.tiers.hit_judge import cache_pairs

pytestmark = pytest.mark.slow

PROMISED = 0.95
BRIEF = f"""\
feasible: 1
name: faq
goal: {{statement: Answer what was asked before and nothing else by heart}}
envelope:
  - {{latency: p95, at_most: 5 s}}
  - {{quality: accuracy, at_least: {PROMISED}, confidence_level: 0.95}}
layers:
  tiers:
    - {{name: by_meaning, kind: model, use: "feasible.tiers.semantic_cache:SemanticCache", usd: $0}}
    - {{name: book, kind: rules, use: "tiers:book", usd: $0.01}}
  serving: {{deadline: 5 s, fallback: {{default: book}}}}
"""
DATA = """\
import json
from pathlib import Path


def examples():
    yield from json.loads(Path(__file__).with_name("rows.json").read_text())
"""
# The dear tier knows the answer to every question word for word: whatever is wrong came by meaning.
TIERS = '''\
def book(request):
    """Answer each question with itself, in lower case."""
    return "the answer to " + ANSWERS.get(request["text"], request["text"].lower())


ANSWERS = {}
'''
CLASSICS = [
    ("How do I turn on two-factor login?", "How do I turn off two-factor login?"),
    ("Is aspirin safe during pregnancy?", "Is aspirin not safe during pregnancy?"),
    ("How do I transfer money from savings to checking?",
     "How do I transfer money from checking to savings?"),
    ("What was the revenue in 2023?", "What was the revenue in 2024?"),
    ("What is the weather in Paris?", "What is the weather in London?"),
    ("Can I increase my credit limit?", "Can I decrease my credit limit?"),
]  # fmt: skip


@pytest.fixture(scope="module")
def faq(
    tmp_path_factory: pytest.TempPathFactory, cli: Callable[..., CompletedProcess[str]]
) -> Path:
    """Plan a feature that is fitted and certified on some pairs; skip without the weights."""
    try:
        weights("minilm")
    except EngineMissing as error:
        pytest.skip(f"the weights of MiniLM cannot be fetched here: {error.found}")
    folder = tmp_path_factory.mktemp("features") / "faq"
    folder.mkdir()
    answers: dict[str, str] = {}
    rows: list[tuple[str, str, str]] = []
    pairs = [(p.question_a, p.question_b, p.same_answer, p.split) for p in cache_pairs()]
    for one, other, is_same, split in [*pairs, *((*c, False, "unseen") for c in CLASSICS)]:
        first = answers.setdefault(one, one.lower())
        second = answers.setdefault(other, first if is_same else other.lower())
        if split == "unseen":  # a plan knows its answers; these questions it has not read
            rows += [(f"entry {len(rows) + n}", a, "train") for n, a in enumerate((first, second))]
        else:
            rows.append((one, first, "train"))
            rows.append((other, second, "train" if split == "fit" else "test"))
    unique = {text: (label, split) for text, label, split in rows}
    lines = [
        {"text": text, "label": f"the answer to {label}", "split": split}
        for text, (label, split) in unique.items()
    ]
    (folder / "rows.json").write_text(json.dumps(lines), encoding="utf-8")
    (folder / "brief.yaml").write_text(BRIEF, encoding="utf-8")
    (folder / "data.py").write_text(DATA, encoding="utf-8")
    known = answers | {text: label for text, (label, _) in unique.items()}
    tiers = TIERS.replace("ANSWERS = {}", f"ANSWERS = {known!r}")
    (folder / "tiers.py").write_text(tiers, encoding="utf-8")
    planned = cli("plan", str(folder), "--quiet")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    return folder


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def client(
    faq: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Ask a service of that feature."""
    ledger = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'decisions.db'}"
    with (
        running_service(str(faq), ledger=ledger, workers=request.param) as service,
        httpx.Client(base_url=service.url, timeout=30) as asking,
    ):
        yield asking


def ask(client: httpx.Client, text: str) -> tuple[str, str]:
    """Give the answer to a question, and who gave it."""
    answer = client.post("/v1/decide", json={"request": {"text": text}}).raise_for_status().json()
    return answer["answer"].removeprefix("the answer to "), answer["tier"]


@pytest.mark.parametrize(("question", "opposite"), CLASSICS)
def test_the_opposite_question_gets_its_own_answer(
    client: httpx.Client, question: str, opposite: str
) -> None:
    """A negation, an opposite, a number, a name or a direction that differs is another question."""
    for _ in range(3):  # so that each of several workers has it by heart
        assert ask(client, question)[0] == question.lower()
    assert ask(client, opposite)[0] == opposite.lower()


def test_hits_are_wrong_no_more_often_than_was_certified(client: httpx.Client) -> None:
    """On pairs that neither the cache nor its certificate has seen; and it does hit."""
    wrong = hits = asked = 0
    for pair in cache_pairs("unseen"):
        ask(client, pair.question_a)
        answer, tier = ask(client, pair.question_b)
        right = {pair.question_b.lower()} | (
            {pair.question_a.lower()} if pair.same_answer else set()
        )
        asked += 1
        hits += tier == "by_meaning"
        wrong += answer not in right
    assert hits >= 10
    # The promise is kept with a share of wrong answers that chance alone may double.
    assert wrong <= int(binom.ppf(0.999, asked, 1 - PROMISED))
