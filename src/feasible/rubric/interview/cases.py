"""The prompts of the mock interview, each with the brief that stays hidden until the debrief."""

from __future__ import annotations

import random
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Final

import msgspec
from ruamel.yaml import YAML

from feasible.errors import BadInput, nearest
from feasible.schema import Brief, BriefFile, parse_brief
from feasible.units import format_duration, format_usd

__all__ = ["Case", "Twist", "case_named", "cases", "twists_of"]

_HERE: Final = resources.files("feasible.rubric.interview")
_TWISTS_AT_S: Final = (1080.0, 2100.0)
"""Minutes 18 and 35: once while the design is drawn, once while it is defended."""
_LOAD: Final = 10.0


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One prompt."""

    name: str
    domain: str
    ask: str
    system: str | None = None
    """The reference system whose brief is behind it."""
    brief: str | None = None
    """Or the file of its brief, beside the prompts."""

    def found(self, brief_of: Callable[[str], BriefFile]) -> BriefFile:
        """Give the hidden brief.

        Args:
            brief_of: Gives the brief of a reference system.
        """
        if self.system is not None:
            return brief_of(self.system)
        name = f"briefs/{self.brief}"
        return parse_brief(_HERE.joinpath(name).read_text("utf-8"), path=Path(str(self.brief)))


class Twist(msgspec.Struct, frozen=True, kw_only=True):
    """Something that changes while the candidate speaks."""

    key: str
    at_s: float
    text: str


def cases() -> tuple[Case, ...]:
    """Give every prompt."""
    listed = YAML(typ="safe").load(_HERE.joinpath("prompts.yaml").read_text("utf-8"))
    return msgspec.convert(listed, tuple[Case, ...])


def case_named(name: str) -> Case:
    """Give one prompt.

    Raises:
        BadInput: There is none of that name.
    """
    known = {case.name: case for case in cases()}
    if name not in known:
        close = nearest(name, known)
        raise BadInput(
            f"there is no prompt {name!r}",
            found=f"prompts {', '.join(known)}",
            attempt=f"feasible practice {close or next(iter(known))}",
        )
    return known[name]


def twists_of(brief: Brief, *, seed: int) -> tuple[Twist, ...]:
    """Choose what changes at minutes 18 and 35, by the numbers of the hidden brief.

    Args:
        brief: The hidden brief.
        seed: The same seed gives the same twists.
    """
    texts = {}
    if brief.traffic.rate is not None:
        rate = brief.traffic.rate.mid
        texts["twist:load"] = (
            f"News: traffic grows from {rate:.4g} to {rate * _LOAD:.4g} requests per second within "
            "a month. What gives first, and what do you do?"
        )
    cost = next((o for o in brief.envelope if o.kind == "cost" and o.at_most is not None), None)
    if cost is not None and cost.at_most is not None:
        texts["twist:budget"] = (
            f"News: finance halves the money, to {format_usd(cost.at_most.mid / 2)} per "
            f"{'decision' if cost.measure in {'mean', 'each'} else cost.measure}. What goes?"
        )
    delay = brief.labels.arrive_after
    if delay is not None:
        texts["twist:labels"] = (
            f"News: the truth becomes known after {format_duration(2 * delay.mid)} instead of "
            f"{format_duration(delay.mid)}. What changes?"
        )
    chosen = random.Random(seed).sample(sorted(texts), min(len(texts), len(_TWISTS_AT_S)))
    return tuple(
        Twist(key=key, at_s=at_s, text=texts[key])
        for key, at_s in zip(chosen, _TWISTS_AT_S, strict=False)
    )
