"""One thing is taken from a whole design: the criterion that is about it falls, and no other."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pytest

from feasible.rubric import Review, Said, SaidKind, score
from feasible.schema import load_brief, parse_brief
from feasible.systems import system_folder

pytestmark = pytest.mark.slow

TODAY = date(2026, 11, 23)
FOLDER = system_folder("fraud")
assert FOLDER is not None
WHOLE = (FOLDER / "brief.yaml").read_text(encoding="utf-8")
BEFORE = score(load_brief(FOLDER), today=TODAY)


def _without(*patterns: str) -> Callable[[str], str]:
    return _with(*((pattern, "") for pattern in patterns))


def _with(*pairs: tuple[str, str]) -> Callable[[str], str]:
    def change(text: str) -> str:
        for pattern, instead in pairs:
            text, count = re.subn(pattern, instead, text, flags=re.MULTILINE)
            assert count, pattern
        return text

    return change


def _objective(*ids: str, lines: str) -> Callable[[str], str]:
    """Take objectives out of the envelope, and out of what layers and tiers keep."""

    def change(text: str) -> str:
        text = _without(lines)(text)
        for one in ids:
            text = re.sub(rf"(?<=[\[ ]){one}, |, {one}(?=[\],])", "", text)
            text = text.replace(f"keeps: [{one}]", "keeps: []")
            text = re.sub(rf", sets: \{{{one}\.[^}}]*\}}", "", text)
        return text

    return change


def _section(name: str, indent: str = "") -> str:
    return rf"^{indent}{name}:.*\n(?:{indent} +.*\n)*"


def _moved(section: str, before: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        found = re.search(_section(section), text, re.MULTILINE)
        assert found is not None
        return text.replace(found[0], "").replace(f"\n{before}:", f"\n{found[0]}{before}:")

    return change


@dataclass(frozen=True)
class Mutation:
    """What is changed, which criteria fall by it, and which finding says so."""

    name: str
    change: Callable[[str], str]
    falls: set[str]
    raises: str
    finds: str = ""
    """What the closed forms or the simulation find then, so that further criteria may move."""
    moved: frozenset[str] = frozenset()


RECALL = r"^  - \{(?:quality: recall|delivery: recall_fraud).*\n"
KNOB = r"knob: labels.positives_per_month.fraud"
MUTATIONS = [
    Mutation("no latency", _objective("latency_p99", lines=r"^  - \{latency.*\n"), {"R3"}, "R3"),
    Mutation("no cost", _objective("cost_mean", lines=r"^  - \{cost.*\n"), {"R3"}, "A2"),
    Mutation(
        "no quality",
        _objective("recall_fraud_high_risk", lines=RECALL),
        {"R3", "R8"},
        "R3",
        finds="the labels bind nothing once no recall is promised, and to buy them buys nothing",
        moved=frozenset({"R5", "R6"}),
    ),
    Mutation(
        "no freshness and no adaptation",
        _objective(
            "freshness_card_features",
            "adaptation_new_pattern",
            lines=r"^  - \{(?:freshness|adaptation).*\n",
        ),
        {"R3"},
        "R3",
    ),
    Mutation(
        "no throughput", _objective("throughput_peak", lines=r"^  - \{through.*\n"), {"R3"}, "R3"
    ),
    Mutation(
        "an average latency",
        _with(("latency: p99", "latency: mean"), ("latency_p99", "latency_mean")),
        {"R3"},
        "A6",
    ),
    Mutation("tiers before the envelope", _moved("layers", "envelope"), {"R3"}, "A1"),
    Mutation("a model in the goal", _with(("Stop fraudulent", "Use an LLM to stop")), {"R3"}, "A1"),
    Mutation("no failure", _without(_section("failures")), {"R7"}, "A3"),
    Mutation(
        "no fallback",
        _without(r", fallback: rules(?=\})", r", fallback: a random audited[^}]*"),
        {"R7"},
        "A3",
    ),
    Mutation("nobody sees it", _without(r", detected_in: \d+ [sd](?=,)"), {"R7"}, "A3"),
    Mutation("no trigger", _without(r" trigger: (?:the|declined)[^,]*,"), {"R7"}, "R7"),
    Mutation("the age of features", _with((KNOB, "knob: features.max_age")), {"R5"}, "R5"),
    Mutation("the scorer's time", _with((KNOB, "knob: scorer.latency_p95")), {"R5"}, "R5"),
    Mutation("the scorer's price", _with((KNOB, "knob: scorer.usd")), {"R5"}, "R5"),
    Mutation("a whole tier", _with((KNOB, "knob: scorer")), {"R5"}, "R5"),
    Mutation(
        "everything",
        _with((KNOB, "knob: labels.positives_per_month.fraud, person.reach, scorer.usd")),
        {"R5"},
        "R5",
    ),
    Mutation("no knob", _with((KNOB, "knob: none")), {"R5"}, "R5"),
    Mutation("no bottleneck", _without(_section("bottleneck")), {"R5", "R6"}, "R5"),
    Mutation("no price of the fix", _without(r"^    usd_month: \$7500\n"), {"R6"}, "R6"),
    Mutation("a wrong price", _with((r"usd_month: \$7500", "usd_month: $900")), {"R6"}, "R6"),
    Mutation(
        "a fix that turns something else",
        _with(
            (r"sets: \{labels.positives_per_month.fraud: 114\}", "sets: {scorer.capacity: 800 / s}")
        ),
        {"R6"},
        "R6",
    ),
    Mutation("a fix that claims too much", _with((r"gains: 1.25x", "gains: 3x")), {"R6"}, "R6"),
    Mutation(
        "a fix that breaks a promise",
        _with((r"fraud: 114\}", "fraud: 114, person.reach: 2 %}")),
        {"R6"},
        "R6",
    ),
    Mutation("a fix in words", _without(r"^    sets: .*\n"), {"R6"}, "R6"),
    Mutation("no alternative", _without(r"^    alternatives:\n(?:      - .*\n)+"), {"R6"}, "R6"),
    Mutation("nothing breaks next", _without(r"^    breaks_next.*\n"), {"R6"}, "R6"),
    Mutation(
        "a fallback that fails too",
        _with((r"fallback: \{default: rules", "fallback: {default: scorer")),
        {"R7"},
        "R7",
        finds="without the scorer nobody answers what the rules leave open",
    ),
    Mutation(
        "a tier that is waited for too long",
        _with(("deadline: 150 ms", "deadline: 2 s")),
        {"R7"},
        "R7",
        finds="without the scorer a payment waits two seconds before the rules answer",
    ),
    Mutation(
        "features that are too old",
        _with((r"max_age: 1..2 min", "max_age: 20 min")),
        {"R4"},
        "R4",
        finds="the age of features breaks the freshness that their layer is there for",
        moved=frozenset({"R5", "R6", "R8"}),
    ),
    Mutation(
        "a tradeoff about what moves nothing",
        _with((r"^  knob: labels.positives_per_month.fraud$(?=\n*\Z)", "  knob: scorer.usd")),
        {"R8"},
        "A5",
    ),
    Mutation(
        "one side in numbers",
        _with((r"^  number: .*$", "  number: recall is shown after 598 confirmed frauds")),
        {"R8"},
        "R8",
    ),
    Mutation("no guardrail", _without(r"^  - \{name: good_payments.*\n"), {"R2"}, "R2"),
    Mutation(
        "a model metric first",
        _with((r"^  metric: fraud_loss_bps", "  metric: accuracy")),
        {"R2"},
        "A15",
    ),
    Mutation("no metrics", _without(_section("metrics")), {"R2"}, "R2"),
    Mutation("a chain that ends", _without(r", leads_to: fraud_loss_bps"), {"R2"}, "R2"),
    Mutation("no target", _without(r"^  target: .*\n"), {"R2"}, "R2"),
    Mutation("no worth", _without(r"^  value_usd: .*\n"), {"R1"}, "R1"),
    Mutation("no actor", _without(r"^  actor: .*\n"), {"R1"}, "R1"),
    Mutation("no features", _without(_section("features", "  ")), {"R4"}, "R4"),
    Mutation("no serving", _without(_section("serving", "  ")), {"R4"}, "R4"),
    Mutation("no feedback", _without(_section("feedback", "  ")), {"R4"}, "A11"),
    Mutation("no tradeoff", _without(_section("tradeoff")), {"R8"}, "R8"),
    Mutation("a tradeoff in words", _without(r"^  number: .*\n"), {"R8"}, "R8"),
]


def _points(judged: Review) -> dict[str, int]:
    return {criterion.id: criterion.points or 0 for criterion in judged.criteria}


def test_nothing_is_missing_from_the_design_that_is_mutated() -> None:
    """Every point that can be checked is there, and nothing above LOW is open."""
    assert BEFORE.score == 100
    assert {finding.risk for finding in BEFORE.findings} <= {"LOW"}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_lowers_what_it_is_about_and_nothing_else(mutation: Mutation) -> None:
    """Other criteria move by two points at most, unless what is found changes."""
    judged = score(parse_brief(mutation.change(WHOLE)), today=TODAY)

    before, after = _points(BEFORE), _points(judged)
    fell = {name for name in before if after[name] < before[name]}
    assert fell >= mutation.falls
    others = before.keys() - mutation.falls - mutation.moved
    assert {name for name in others if abs(after[name] - before[name]) > 2} == set()
    assert mutation.finds or not mutation.moved
    raised = {finding.id for finding in judged.findings} - {f.id for f in BEFORE.findings}
    assert mutation.raises in raised


def test_late_limits_cap_the_whole_at_70() -> None:
    """95 of 100 points are left without the five of order; 70 are given."""
    late = Said(at_s=430.0, kind=SaidKind.OBJECTIVE, text="200 ms", about="latency_p99")

    judged = score(parse_brief(WHOLE), events=[late], today=TODAY)

    assert judged.points == 95
    assert judged.score == 70
    assert any("minute 7" in cap for cap in judged.caps)
