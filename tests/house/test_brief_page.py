"""The page about brief.yaml lists every key of the schema, no other, and its example is a brief."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from feasible.rubric import review
from feasible.schema import OBJECTIVE_RULES, Brief, Objective, dump_brief, parse_brief
from feasible.units import Quantity

PAGE = (Path(__file__).parents[2] / "docs/reference/brief.md").read_text(encoding="utf-8")
KEY = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


def _records(kind: type[msgspec.Struct], at: str) -> Iterator[tuple[str, type[msgspec.Struct]]]:
    """Give each record of the schema with its path, for example `layers.feedback.retrain`."""
    yield at or "The whole", kind
    for field in msgspec.structs.fields(kind):
        inner = _record_in(field.type)
        if inner is not None:
            yield from _records(inner, f"{at}.{field.encode_name}" if at else field.encode_name)


def _record_in(hint: Any) -> type[msgspec.Struct] | None:
    """Find the record inside `X | None` or `tuple[X, ...]`."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    return next((found for part in get_args(hint) if (found := _record_in(part))), None)


each_record = pytest.mark.parametrize(("heading", "kind"), list(_records(Brief, "")), ids=str)


def _section(heading: str) -> str:
    """Give the text under a heading, up to the next one."""
    found = re.search(
        rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", PAGE, re.DOTALL | re.MULTILINE
    )
    assert found is not None, f"no heading {heading!r}"
    return found[1]


@each_record
def test_every_key_is_explained_under_its_heading_and_no_other(
    heading: str, kind: type[msgspec.Struct]
) -> None:
    """A key that is added, renamed or taken away changes the page."""
    known = [field.encode_name for field in msgspec.structs.fields(kind)]

    assert sorted(KEY.findall(_section(heading))) == sorted(known)


@each_record
def test_a_key_that_is_required_is_called_so(heading: str, kind: type[msgspec.Struct]) -> None:
    """And a key that is not, is not."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*)$", _section(heading), re.MULTILINE))

    required = {field.encode_name for field in msgspec.structs.fields(kind) if field.required}

    assert {key for key, row in rows.items() if "| required" in row} == required


def test_every_kind_of_objective_says_which_limit_it_takes() -> None:
    """The bound and the measures are those of the schema."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*)$", _section("envelope"), re.MULTILINE))

    for kind, rule in OBJECTIVE_RULES.items():
        bounds = ("at_least", "at_most") if rule.bound == "either" else (rule.bound,)
        for bound in bounds:
            assert f"`{bound}`" in rows[kind]
        for measure in rule.measures:
            assert (f"`{measure}`" if measure != "pNN" else "`p99`") in rows[kind]
    assert f"; {Objective(latency='p99').confidence_level} when absent" in rows["confidence_level"]


def test_every_unit_that_is_shown_can_be_read() -> None:
    """The table of units holds no unit that a brief would refuse."""
    rows = re.findall(r"^\| (`.*?) \|", _section("Units"), re.MULTILINE)
    shown = [text for row in rows for text in re.findall(r"`([^`]+)`", row)]

    assert len(shown) > len(rows)
    for text in shown:
        assert Quantity(text).low > 0


def test_the_examples_are_one_brief_that_is_ready() -> None:
    """It is read, survives being written, and a review finds nothing to mend."""
    example = "".join(re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))

    found = parse_brief(example)

    assert parse_brief(dump_brief(found.brief)).brief == found.brief
    judged = review(found, today=date(2026, 11, 23))
    assert judged.findings == ()
    assert {objective.kind for objective in found.brief.envelope} == set(OBJECTIVE_RULES)
