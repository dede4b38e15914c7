"""The briefs of the eight reference systems fit the nouns: rankings, prices, overlays, bundles."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from ruamel.yaml import YAML

from feasible.rubric import Risk, Verdict, review, score
from feasible.schema import (
    BriefFile,
    brief_schema,
    dump_brief,
    load_brief,
    parse_brief,
)
from feasible.systems import system_folder, system_names

TODAY = date(2026, 11, 23)

each_system = pytest.mark.parametrize("name", system_names())


def read(name: str) -> BriefFile:
    """Load the brief of a reference system."""
    folder = system_folder(name)
    assert folder is not None
    return load_brief(folder)


def _plain(found: BriefFile) -> dict[str, Any]:
    """Give a brief as the plain values that stand in its file."""
    plain: dict[str, Any] = YAML(typ="safe").load(found.path)
    return plain


def test_there_are_eight_reference_systems() -> None:
    """Each has a brief in a folder of its own."""
    names = "fraud meetings moderation pricing shorts support tickets voice"

    assert system_names() == tuple(names.split())


@each_system
def test_a_reference_brief_loads_and_survives_write_and_read(name: str) -> None:
    """Five layers, a fallback, a guardrail, a bottleneck and a tradeoff are declared."""
    brief = read(name).brief

    assert parse_brief(dump_brief(brief)).brief == brief
    layers = (brief.layers.data, brief.layers.features, brief.layers.serving, brief.layers.feedback)
    assert None not in layers
    assert brief.layers.tiers
    assert any(metric.kind == "guardrail" for metric in brief.metrics)
    assert brief.failures
    assert brief.bottleneck is not None
    assert brief.tradeoff is not None
    assert {o.kind for o in brief.envelope} >= {"latency", "cost", "quality", "throughput"}


@each_system
def test_a_reference_brief_is_valid_by_the_published_schema(name: str) -> None:
    """What an editor with the JSON Schema would say: nothing."""
    schema = brief_schema()

    assert _faults(_plain(read(name)), schema, schema) == []


def test_the_published_schema_refuses_what_is_wrong() -> None:
    """A key that is misspelt, a kind that is unknown and an objective without a kind are faults."""
    schema = brief_schema()
    plain = _plain(read("support"))
    plain["trafic"] = plain.pop("traffic")
    plain["layers"]["tiers"][0]["kind"] = "oracle"
    del plain["envelope"][0]["latency"]

    faults = _faults(plain, schema, schema)

    assert any("unknown trafic" in fault for fault in faults)
    assert any("'oracle' is not one of" in fault for fault in faults)
    assert "$.envelope[0]: oneOf" in faults


@each_system
def test_a_reference_brief_is_reviewed_without_a_high_risk(name: str) -> None:
    """Every point that a brief alone can show is earned, and nothing HIGH or MEDIUM is open."""
    judged = review(read(name), today=TODAY)

    assert [f for f in judged.findings if f.risk is not Risk.LOW] == []
    assert judged.verdict is Verdict.READY
    assert judged.points == judged.checkable == 46


@pytest.mark.slow
@each_system
def test_a_reference_design_earns_at_least_85(name: str) -> None:
    """Of the points that can be checked of it, with no HIGH risk and its bottleneck found."""
    judged = score(read(name), today=TODAY)

    assert judged.score >= 85
    assert judged.verdict is Verdict.READY
    assert [f for f in judged.findings if f.risk is Risk.HIGH] == []


@each_system
def test_a_reference_brief_names_the_bottleneck_that_its_numbers_show(name: str) -> None:
    """The closed-form guess agrees with the brief's own knob and objective."""
    found = read(name)

    guess = review(found, today=TODAY).bottleneck

    assert found.brief.bottleneck is not None
    assert guess.agrees
    assert guess.first == found.brief.bottleneck.objective
    assert guess.p_holds is not None
    assert guess.p_holds > 0.9


@each_system
def test_assumed_values_in_dollars_are_ranges(name: str) -> None:
    """Nobody has measured what an answer is worth, and the brief does not pretend it."""
    goal = read(name).brief.goal

    assert goal.value_usd is not None
    assert goal.value_usd.is_range
    assert goal.error_usd is not None
    assert goal.error_usd.is_range


@pytest.mark.parametrize(
    ("name", "promised"),
    [
        ("fraud", {"latency_p99": "200 ms", "cost_mean": "$0.003", "people_reviews": "2500 / d"}),
        ("fraud", {"recall_fraud_high_risk": "99.5 %", "delivery_first_version": "2 weeks"}),
        ("support", {"latency_p99_machines": "200 ms", "cost_mean_machines": "$0.005"}),
        ("support", {"people_reviews_in_scope": "5 %", "availability_answered": "99.9 %"}),
        ("tickets", {"latency_p99": "50 ms"}),
        ("moderation", {"adaptation_new_meme_format": "30 min"}),
        ("shorts", {"latency_p99": "200 ms", "freshness_trending_items": "1 h"}),
        ("pricing", {"adaptation_demand_shift": "1 h"}),
        ("meetings", {"latency_p50": "200 ms"}),
        ("voice", {"footprint_bundle": "2 MB"}),
    ],
)
def test_a_reference_brief_promises_what_the_case_study_asks(
    name: str, promised: dict[str, str]
) -> None:
    """The numbers are those of the case study."""
    brief = read(name).brief

    assert {key: str(brief.objective(key).limit) for key in promised} == promised


def test_the_fraud_brief_says_when_its_recall_can_be_shown() -> None:
    """598 frauds without a miss at 80 to 99 a month (89 at the middle) and 14 days late.

    By hand: 598 / 89.0 = 6.72 months = 204.5 days, and 14 more: 219 days after 2026-11-23.
    """
    (constraints,) = [c for c in review(read("fraud"), today=TODAY).criteria if c.id == "R3"]

    (said,) = [line for line in constraints.evidence if line.startswith("recall_fraud")]
    assert "598 labelled cases without a miss, not before 2027-06-30" in said


def _faults(value: Any, node: dict[str, Any], root: dict[str, Any], at: str = "$") -> list[str]:
    """Give the places at which a value breaks a JSON Schema, by the keywords that ours uses."""
    if "$ref" in node:
        return _faults(value, root["$defs"][node["$ref"].rpartition("/")[2]], root, at)
    for keyword in ("anyOf", "oneOf"):
        fits = sum(not _faults(value, part, root, at) for part in node.get(keyword, []))
        if keyword in node and (fits < 1 or (keyword == "oneOf" and fits > 1)):
            return [f"{at}: {keyword}"]
    kinds = node.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is_a(value, kind) for kind in kinds):
        return [f"{at}: {value!r} is not {kinds}"]
    if "enum" in node and value not in node["enum"]:
        return [f"{at}: {value!r} is not one of {node['enum']}"]
    if isinstance(value, list):
        return [
            f for i, v in enumerate(value) for f in _faults(v, node["items"], root, f"{at}[{i}]")
        ]
    return _faults_inside(value, node, root, at) if isinstance(value, dict) else []


def _faults_inside(
    value: dict[Any, Any], node: dict[str, Any], root: dict[str, Any], at: str
) -> list[str]:
    """Give what is missing from an object, unknown to it, or wrong below it."""
    faults = [f"{at}: no {key}" for key in node.get("required", []) if key not in value]
    properties, others = node.get("properties", {}), node.get("additionalProperties", True)
    for key, inner in value.items():
        if key in properties or isinstance(others, dict):
            faults += _faults(inner, properties.get(key, others), root, f"{at}.{key}")
        elif others is False:
            faults.append(f"{at}: unknown {key}")
    return faults


def _is_a(value: Any, kind: str) -> bool:
    """Claim that a value has a type of JSON Schema; a truth value is no number."""
    known: dict[str, tuple[type, ...]] = {
        "object": (dict,),
        "array": (list,),
        "string": (str,),
        "boolean": (bool,),
        "number": (int, float),
        "integer": (int,),
        "null": (type(None),),
    }
    return isinstance(value, known[kind]) and (kind == "boolean") == isinstance(value, bool)
