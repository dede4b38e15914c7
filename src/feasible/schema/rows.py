"""What goes into a tier and what comes out: requests, answers, labelled rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

__all__ = [
    "ABSTAIN",
    "Answer",
    "DataSet",
    "Example",
    "Examples",
    "Loss",
    "Request",
    "zero_one_loss",
]

Request: TypeAlias = Mapping[str, Any]
"""One request as JSON gives it; a text feature's is `{"text": "..."}`."""


class Answer(msgspec.Struct, frozen=True):
    """What a tier said to one request.

    A tier that cannot tell abstains: `value` is None.
    """

    value: Any = None
    """The answer, any JSON value; None when the tier abstained."""
    score: float | None = None
    """The tier's own raw score, higher is surer; not a probability until calibrated."""
    cost_usd: float | None = None
    """What this call cost, when the tier knows; None leaves it to the tier's price."""

    @property
    def abstained(self) -> bool:
        """Claim that the tier gave no answer."""
        return self.value is None


ABSTAIN = Answer()

Loss: TypeAlias = Callable[["Example", Any], float]
"""How wrong an answer value is for a row. Ratio: 0 right, 1 wrong."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row: a request and, when known, its label.

    Attributes:
        row_id: Unique within the data set.
        request: What a tier is asked.
        label: The truth; None when unknown.
        slices: Names of the slices it belongs to.
        split: `train` rows fit tiers, calibrators and thresholds; `test` rows certify and do
        nothing
            else. None leaves the choice to the planner.
        time: When the request was made, aware.
        entity: Customer, card or thread whose rows are not independent of each other.
    """

    row_id: str
    request: Request
    label: Any = None
    slices: frozenset[str] = field(default_factory=frozenset)
    split: Literal["train", "test"] | None = None
    time: datetime | None = None
    entity: str | None = None


Examples: TypeAlias = Sequence[Example]


@dataclass(frozen=True, slots=True)
class DataSet:
    """Labelled rows and where they come from.

    Attributes:
        name: As a report shows it.
        examples: The rows.
        synthetic: Whether the rows were made up rather than collected; every report says so.
        origin: Where they come from, in a sentence.
    """

    name: str
    examples: Examples
    synthetic: bool
    origin: str


def zero_one_loss(example: Example, value: Any) -> float:
    """Give 0 when the answer is the label, else 1.

    Examples:
        >>> zero_one_loss(Example("r1", {"text": "hi"}, label="greeting"), "greeting")
        0.0
    """
    return 0.0 if value == example.label else 1.0
