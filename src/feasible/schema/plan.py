"""A plan: which tiers in which order, when each may answer, and its certificate."""

from __future__ import annotations

import base64
import hashlib
import zlib
from datetime import datetime
from typing import Final, Literal

import msgspec

from feasible.schema.brief import TierKind
from feasible.schema.spending import SpendLimit

__all__ = [
    "DEFAULT_GROUP",
    "Calibrator",
    "CertificateLine",
    "DataUsed",
    "Forecast",
    "LatencyForecast",
    "ModelFile",
    "Plan",
    "PlanTier",
    "Posterior",
    "Router",
]

_LATER: Final = ("spend", "priority", "not_promised")
"""Fields that plans did not always have: left out of the hash while they are empty, so that a plan
of before is still the one its id names."""
DEFAULT_GROUP = "*"
"""Group of every answer value that has no group of its own."""


class _Noun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frozen record that refuses unknown keys."""


class Calibrator(_Noun, frozen=True, kw_only=True):
    """A monotone map from a raw score to P(this answer is right): points to interpolate between."""

    method: Literal["isotonic", "platt", "constant"]
    x: tuple[float, ...]
    """Raw scores, rising. A single point for `constant`, which ignores the score."""
    y: tuple[float, ...]
    """Probabilities, not falling. Ratio 0 to 1."""
    n: int
    """Rows it was fitted on."""


class Posterior(_Noun, frozen=True, kw_only=True):
    """P(a tier is right) from everything heard so far: logistic regression on log odds.

    The terms, in order: `own` and `group:NAME` are about the tier's answer (its calibrated log
    odds; 1 in that answer group); `same:TIER` and `other:TIER` are 1 when an earlier tier gave the
    same answer or another one, `for:TIER` and `against:TIER` are that tier's log odds then.
    """

    terms: tuple[str, ...]
    weights: tuple[float, ...]
    """As many as there are terms."""
    offset: float
    n: int
    """Rows it was fitted on."""


class Router(_Noun, frozen=True, kw_only=True):
    """P(a tier would be right) from the words of a request, before any tier is asked."""

    words: tuple[str, ...]
    """Words and pairs of words that count, sorted."""
    rarity: tuple[float, ...]
    """What each of them weighs in a text, before texts are brought to the same length."""
    weights: dict[str, tuple[float, ...]]
    """Tier -> weight of each word in its log odds, for each unit that the word weighs."""
    presence: dict[str, tuple[float, ...]] = {}
    """Tier -> what each word adds to its log odds by being there, for tiers not in `weights`."""
    offset: dict[str, float]
    """Tier -> log odds of a text without any of these words."""
    n: int
    """Rows it was fitted on."""


class ModelFile(_Noun, frozen=True, kw_only=True):
    """A stored model by its content."""

    path: str
    """Relative to the folder of the plan."""
    sha256: str


class PlanTier(_Noun, frozen=True, kw_only=True):
    """One step of the cascade."""

    name: str
    kind: TierKind
    version: str
    share: float
    """Share of decisions that this tier answers. Ratio."""
    thresholds: dict[str, float]
    """Answer group -> smallest probability at which the tier's answer is given. Above 1: never."""
    groups: dict[str, str]
    """Answer value -> answer group; a value that is not here is in group `*`."""
    calibrators: dict[str, Calibrator]
    """Answer group -> calibrator; group `*` serves every group without its own."""
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    cost_usd: float | None
    """Mean dollars of one call."""
    worst_cost_usd: float | None
    """Most dollars that one call can cost."""
    model: ModelFile | None = None
    simulated: bool = False
    posterior: Posterior | None = None
    """How the answer's probability follows from all that was heard; None: from its score alone."""
    rival: Posterior | None = None
    """P(the next tier is right), to be weighed against: thresholds are on (1 + own - rival) / 2."""
    timeout_ms: float | None = None
    """Longest that one call may take; None: as long as there is time."""
    gated: bool = False
    """Whether the router decides if it is asked at all: thresholds are on what it foresees then."""


class CertificateLine(_Noun, frozen=True, kw_only=True):
    """What was shown about one objective on rows that the planner had not used before."""

    objective: str
    limit: float
    """In the unit of `unit`."""
    unit: str
    """`ratio`, `usd`, `ms` or `/ day`; a cost a day or a month is in dollars a day or a month."""
    is_ceiling: bool
    value: float | None
    """Point value on the rows that judge."""
    bound: float | None
    """One-sided confidence bound on the bad side of the value."""
    n: int
    """Rows that judge."""
    misses: float
    """Rows that miss (a person's declared error rate counts as a part of a row)."""
    confidence_level: float
    method: str
    assumption: str
    holds: bool | None
    """None when there was too little evidence to say."""
    value_machines: float | None = None
    """The same figure for what machines answered alone."""
    note: str | None = None
    agreement_with: str | None = None
    """Tier with whose answers agreement was judged, where no row is labelled: no accuracy."""


class LatencyForecast(_Noun, frozen=True, kw_only=True):
    """Milliseconds."""

    p50: float | None
    p95: float | None
    p99: float | None


class Forecast(_Noun, frozen=True, kw_only=True):
    """What to expect of the plan on traffic like the rows it was judged on."""

    cost_usd: float | None
    """Mean per decision, people included."""
    cost_usd_machines: float | None
    """Mean per decision, people left out."""
    latency_ms: LatencyForecast
    quality: dict[str, float | None]
    people_share: float


class DataUsed(_Noun, frozen=True, kw_only=True):
    """Which rows were used for what."""

    name: str
    synthetic: bool
    """Whether rows were made up rather than collected."""
    fingerprint: str
    n_fit: int
    n_search: int
    n_cert: int
    split: str
    """How the rows were divided, in a sentence."""
    cert_fingerprint: str = ""
    """Hash of the ids of the rows that certify."""
    cert_sample: str = ""
    """Hashes of some of these ids, by which later rows are compared with them."""
    look: int = 1
    """Which look this certificate is, from 1: at rows of which most certified before, or, when many
    looks are planned for, at any rows of this feature."""
    schedule: Literal["one", "many"] = "one"
    """`one`: each line is for one look. `many`: the t-th look spent 6 / (pi^2 t^2) of its delta, so
    that all looks of this feature together keep the declared levels."""
    parts: str = ""
    """What every row was used for, in the profile's order: see `part_of_row`."""

    def part_of_row(self) -> bytes:
        """Give, per row of the profile, 0 for FIT, 1 for SEARCH, 2 for CERT and 3 for unused."""
        return zlib.decompress(base64.b64decode(self.parts)) if self.parts else b""


class Plan(_Noun, frozen=True, kw_only=True):
    """A cascade with everything needed to serve it and to check it."""

    id: str
    """Hash of everything below."""
    feature: str
    brief_fingerprint: str
    """Hash of the brief it was made for."""
    made_at: datetime
    tiers: tuple[PlanTier, ...]
    fallback: dict[str, str]
    """Slice or `default` -> tier that answers when time is up or a tier failed."""
    deadline_ms: float | None
    cost_each_usd: float | None
    """Enforced cap per decision; None when none was declared."""
    forecast: Forecast
    certificate: tuple[CertificateLine, ...]
    data: DataUsed
    chosen_by: Literal["cost", "value"] = "cost"
    """Whether it is the cheapest certified plan, or the one that was worth most on SEARCH rows."""
    labels: tuple[str, ...] = ()
    """Answer values a tier may give, for a closed set; empty when any value is valid."""
    seed: int = 0
    router: Router | None = None
    """What is foreseen from a request's text, where a tier is gated."""
    brief_yaml: str = ""
    """The brief it was made for, as text, so that a plan alone can be checked on other rows."""
    spend: tuple[SpendLimit, ...] = ()
    """Limits on the money of many decisions."""
    priority: dict[str, float] = {}
    """Slice -> share of each of these limits that is kept for its requests. Ratios."""
    not_promised: tuple[str, ...] = ()
    """Objectives of the brief that cannot be shown yet: the certificate is for all the others."""

    def with_id(self) -> Plan:
        """Give the same plan with `id` set to the hash of the rest."""
        plain = msgspec.to_builtins(msgspec.structs.replace(self, id=""), order="deterministic")
        for name in _LATER:
            if not plain[name]:
                del plain[name]
        digest = hashlib.sha256(msgspec.json.encode(plain)).hexdigest()
        return msgspec.structs.replace(self, id=f"plan_{digest[:16]}")
