"""Populations whose truth is known, so that one can see how often a certified promise is broken.

A population says, for every row, the chance that each tier's answer is wrong given everything that
a policy can see. So a policy's true values are means of known numbers over rows that are spread
evenly (a scrambled Sobol sequence), and no luck of drawn labels is in them. The arithmetic of a
promise is written here a second time, from the definition of its kind and independent of planning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy.special import expit, ndtri
from scipy.stats import qmc

from feasible.cascade import Policy, Table, route_rows, table_of
from feasible.schema import (
    BoolArray,
    Brief,
    FloatArray,
    IntArray,
    Objective,
    Plan,
    Profile,
    TierKind,
    parse_brief,
)

__all__ = [
    "HANGS",
    "OUT_OF_REACH",
    "POPULATIONS",
    "TWO_GATES",
    "Population",
    "Rows",
    "Way",
    "excesses",
    "way_of",
]

TRUTH_ROWS = 2**17
"""Rows over which a true value is worked out. Two scrambles differ by less than 0.002."""
PERSON_MS = 1.0
"""What handing a case to a person takes."""
HUNG_MS = 5000.0
"""What a call takes that hangs."""
BAD, GOOD = 0, 1
CLASSES = ("bad", "good")


@dataclass(frozen=True)
class Rows:
    """Rows by tiers, with chances in place of luck.

    Attributes:
        wrong: shape (n, tiers). Chance that the tier's answer is wrong, or its mean loss; drawn
            rows have the loss itself.
        score: shape (n, tiers).
        answer: shape (n, tiers). BAD or GOOD.
        latency_ms: shape (n, tiers).
        cost_usd: shape (n, tiers).
        bad: shape (n,). Chance that the label is `bad`; None where there are no labels.
        slices: Name -> membership.
    """

    wrong: FloatArray
    score: FloatArray
    answer: IntArray
    latency_ms: FloatArray
    cost_usd: FloatArray
    bad: FloatArray | None = None
    slices: dict[str, BoolArray] = field(default_factory=dict)

    def some(self, index: IntArray) -> Rows:
        """Give some rows."""
        return Rows(
            wrong=self.wrong[index],
            score=self.score[index],
            answer=self.answer[index],
            latency_ms=self.latency_ms[index],
            cost_usd=self.cost_usd[index],
            bad=None if self.bad is None else self.bad[index],
            slices={name: member[index] for name, member in self.slices.items()},
        )


@dataclass(frozen=True)
class Way:
    """What a policy does with rows.

    Attributes:
        exit: shape (n,). Column of the tier that answers; the number of tiers means a person.
        latency_ms: shape (n,).
        cost_usd: shape (n,).
    """

    exit: IntArray
    latency_ms: FloatArray
    cost_usd: FloatArray


@dataclass(frozen=True)
class Population:
    """Rows that can be drawn and whose truth is known.

    Attributes:
        name: What is special about it.
        text: The brief.
        tiers: Machine tiers, cheapest first.
        make: From numbers in (0, 1), shape (n, dims), to rows.
        dims: Numbers that a row is made of.
        n: Rows in a draw.
        worst_usd: Tier -> enforced cap of one call.
        per_entity: Rows of one entity; these share nine tenths of their luck.
        partial: Losses are spread between 0 and twice their mean, rather than 0 or 1.
        oversampled: Slice -> times as many of its rows are drawn as there are in traffic.
    """

    name: str
    text: str
    tiers: tuple[str, ...]
    make: Callable[[FloatArray], Rows]
    dims: int
    n: int
    worst_usd: dict[str, float]
    per_entity: int = 1
    partial: bool = False
    oversampled: dict[str, float] = field(default_factory=dict)

    @cached_property
    def brief(self) -> Brief:
        """Give the promises."""
        return parse_brief(self.text).brief

    @property
    def person_usd(self) -> float:
        """Give the declared price of a person; 0 without one."""
        usd = next((t.usd for t in self.brief.layers.tiers if t.kind is TierKind.PERSON), None)
        return 0.0 if usd is None else usd.mid

    @cached_property
    def design_effect(self) -> float:
        """Give how many times the variance of a mean is that of as many independent, equal rows.

        Rows of an entity have the same luck with a chance of 0.9 each, 0.81 for a pair. Weights
        cost what Kish's formula says.
        """
        effect = 1 + (self.per_entity - 1) * 0.81
        for name, times in self.oversampled.items():
            share = self.truth.slices[name].mean()
            drawn = share * times
            effect *= share**2 / drawn + (1 - share) ** 2 / (1 - drawn)
        return float(effect)

    @cached_property
    def truth(self) -> Rows:
        """Give evenly spread rows."""
        return self.spread(seed=0)

    def spread(self, *, seed: int) -> Rows:
        """Give rows that fill the population evenly."""
        sobol = qmc.Sobol(self.dims, scramble=True, rng=np.random.default_rng(seed))
        return self.make(np.clip(sobol.random(TRUTH_ROWS), 1e-9, 1 - 1e-9))

    def draw(self, rng: np.random.Generator) -> tuple[Profile, Rows]:
        """Draw a profile, and the same rows for the arithmetic here."""
        luck = self._luck(rng)
        rows = self.make(luck[:, : self.dims])
        extra = luck[:, self.dims :]
        label: tuple[str, ...] | None = None
        if rows.bad is not None:
            is_bad = extra[:, 0] < rows.bad
            answers_bad = rows.answer == BAD
            rows = replace(
                rows, bad=is_bad.astype(float), wrong=(answers_bad != is_bad[:, None]).astype(float)
            )
            label = tuple(CLASSES[BAD] if one else CLASSES[GOOD] for one in is_bad)
        elif self.partial:
            rows = replace(rows, wrong=2 * rows.wrong * extra)
        else:
            rows = replace(rows, wrong=(extra < rows.wrong).astype(float))
        return self.profile(rows, label), rows

    def _luck(self, rng: np.random.Generator) -> FloatArray:
        wide = self.dims + len(self.tiers)
        n, many = self.n, self.per_entity
        luck = rng.random((n, wide))
        if many > 1:
            shared = np.repeat(rng.random((n // many, wide)), many, axis=0)
            return np.where(rng.random((n, 1)) < 0.9, shared, luck)
        for name, times in self.oversampled.items():
            more = rng.random((int(n * times * 4), wide))
            inside = more[self.make(more[:, : self.dims]).slices[name]]
            take = int(n * self.truth.slices[name].mean() * (times - 1))
            luck[:take] = inside[:take]
        return luck

    def profile(self, rows: Rows, label: tuple[str, ...] | None) -> Profile:
        """Give rows as planning and routing take them."""
        n, names = rows.wrong.shape[0], tuple(str(i) for i in range(rows.wrong.shape[0]))
        entity = None
        if self.per_entity > 1:
            entity = tuple(str(i // self.per_entity) for i in range(n))
        return Profile(
            row_ids=names,
            tiers=self.tiers,
            loss=rows.wrong,
            answered=np.ones(rows.wrong.shape, dtype=np.bool_),
            score=rows.score,
            answer_class=rows.answer,
            classes=CLASSES,
            latency_ms=rows.latency_ms,
            cost_usd=rows.cost_usd,
            slices=rows.slices,
            label=label,
            entity=entity,
        )


def way_of(plan: Plan, population: Population, rows: Rows) -> Way:
    """Send rows through a plan, by the routing that serving uses."""
    policy = Policy.from_plan(plan)
    steps = [step.name for step in policy.steps]
    machines = tuple(step for step in policy.steps if step.kind is not TierKind.PERSON)
    profile = population.profile(rows, None)
    table = table_of(replace(policy, steps=machines), profile, router=plan.router)
    with_person = len(machines) < len(steps)
    if with_person:
        n = len(rows.wrong)
        table = Table(
            answered=_beside(table.answered, np.ones(n, dtype=np.bool_)),
            probability=_beside(table.probability, np.ones(n)),
            threshold=_beside(table.threshold, np.zeros(n)),
            latency_ms=_beside(table.latency_ms, np.full(n, PERSON_MS)),
            cost_usd=_beside(table.cost_usd, np.full(n, population.person_usd)),
        )
    routed = route_rows(policy, table)
    column = {name: i for i, name in enumerate(population.tiers)}
    of_step = [column.get(name, len(population.tiers)) for name in steps]
    last = column.get(policy.fallback["default"], len(population.tiers))
    leaves = np.array([*of_step, last])[routed.position]
    fell = routed.position < 0
    latency, cost = routed.latency_ms.copy(), routed.cost_usd.copy()
    if fell.any():
        # The fallback answers; what was asked before is in hand, anything else costs extra.
        again = fell.copy()
        if policy.fallback["default"] in steps:
            again &= ~routed.asked[:, steps.index(policy.fallback["default"])]
        is_person = last == len(population.tiers)
        more_ms = PERSON_MS if is_person else rows.latency_ms[again, last]
        more_usd = population.person_usd if is_person else rows.cost_usd[again, last]
        latency[again] += more_ms
        cost[again] += more_usd
    return Way(leaves, latency, cost)


def excesses(brief: Brief, rows: Rows, way: Way) -> dict[str, float]:
    """Give for each promise by how much its mean loss exceeds the limit; above 0 it is broken."""
    return {objective.id: _excess(brief, objective, rows, way) for objective in brief.envelope}


def _person_wrong(brief: Brief) -> float:
    rate = next((t.error_rate for t in brief.layers.tiers if t.kind is TierKind.PERSON), None)
    return 0.0 if rate is None else rate.mid


def _excess(brief: Brief, objective: Objective, rows: Rows, way: Way) -> float:
    n, tiers = rows.wrong.shape
    assert objective.limit is not None
    limit = objective.limit.mid
    by_person = way.exit == tiers
    at = np.minimum(way.exit, tiers - 1)
    weight = _shares(brief, rows) if objective.on is None else np.ones(n)
    if objective.on is not None:
        weight = weight * rows.slices[objective.on]
    if objective.kind == "cost":
        return float(np.average(way.cost_usd, weights=weight)) - limit
    if objective.kind == "people":
        return float(np.average(by_person, weights=weight)) - limit
    if objective.kind == "latency":
        late = 1.0 - float(objective.measure.removeprefix("p")) / 100
        return float(np.average(way.latency_ms > limit * 1e3, weights=weight)) - late
    loss = np.where(by_person, _person_wrong(brief), rows.wrong[np.arange(n), at])
    if objective.within is not None:  # a person of whom no time is declared is late
        loss = np.where(by_person | (way.latency_ms > objective.within.ms), 1.0, loss)
    says_bad = ~by_person & (rows.answer[np.arange(n), at] == BAD)
    if objective.measure == "recall":
        assert rows.bad is not None
        weight = weight * rows.bad
        loss = np.where(by_person, _person_wrong(brief), ~says_bad)
    elif objective.measure == "precision":
        weight = weight * says_bad
    if not weight.sum():
        return -np.inf
    return float(np.average(loss, weights=weight)) - (1 - limit)


def _shares(brief: Brief, rows: Rows) -> FloatArray:
    """Weigh rows so that slices have their declared shares of traffic."""
    weight = np.ones(len(rows.wrong))
    rest, left = np.ones(len(rows.wrong), dtype=np.bool_), 1.0
    for name, share in brief.traffic.slices.items():
        weight[rows.slices[name]] = share.mid / rows.slices[name].mean()
        rest &= ~rows.slices[name]
        left -= share.mid
    weight[rest] = left / rest.mean()
    return weight


def _beside(table: np.ndarray, column: np.ndarray) -> np.ndarray:
    return np.column_stack([table, column])


# ------------------------------------------------------------------------------------------------
# Rows by how doubtful they are


def doubtful(
    luck: FloatArray,
    *,
    tiers: tuple[tuple[float, float, float, float], ...],
    levels: int | None = None,
    noise: float = 0.15,
    slices: dict[str, tuple[float, float]] | None = None,
    hangs: tuple[float, ...] = (0.0,),
) -> Rows:
    """Make rows of one class; how doubtful a row is decides how often each tier is wrong.

    Args:
        luck: shape (n, 2 + 2 tiers). Doubt, slice; then score noise and latency, tier by tier.
        tiers: For each: chance to be wrong on the clearest row and on the most doubtful one,
            dollars, and median milliseconds.
        levels: Number of distinct scores; any when absent.
        noise: Width of what the scores do not know of the doubt.
        slices: Name -> where it begins and ends, between 0 and 1, in the slice's luck.
        hangs: Share of each tier's calls that take HUNG_MS.
    """
    n, k = len(luck), len(tiers)
    doubt, where = luck[:, 0], luck[:, 1]
    blur, wait = luck[:, 2 : 2 + k], luck[:, 2 + k : 2 + 2 * k]
    low, high, usd, ms = (np.array(values) for values in zip(*tiers, strict=True))
    score = 1 - doubt[:, None] + noise * (blur - 0.5)
    if levels is not None:
        score = np.floor(np.clip(score, 0, 0.999) * levels) / levels
    return Rows(
        wrong=low + (high - low) * doubt[:, None] ** 2,
        score=score,
        answer=np.full((n, k), GOOD),
        latency_ms=np.where(wait > 1 - np.array(hangs), HUNG_MS, ms * np.exp(0.4 * ndtri(wait))),
        # Prices go with latencies, as lengths of texts do, and are capped at twice the usual.
        cost_usd=usd * (0.5 + wait),
        slices={name: (where >= a) & (where < b) for name, (a, b) in (slices or {}).items()},
    )


def screening(
    luck: FloatArray,
    *,
    tiers: tuple[tuple[float, float, float], ...],
    risky: float = 0.2,
    every_risky_is_bad: bool = False,
) -> Rows:
    """Make rows that are `bad` or `good`; tiers see how likely `bad` is, more or less clearly.

    Args:
        luck: shape (n, 2 + 2 tiers). How likely `bad` is, slice; then noise and latency by tier.
        tiers: For each: noise on the logarithm of the odds, dollars, and median milliseconds.
        risky: Share of the slice `risky`.
        every_risky_is_bad: All rows of the slice have the label `bad`.
    """
    k = len(tiers)
    noise, usd, ms = (np.array(values) for values in zip(*tiers, strict=True))
    is_risky = luck[:, 1] < risky
    seen = np.where(is_risky, 6.0 * ndtri(luck[:, 0]) - 1.0, 4.0 * ndtri(luck[:, 0]) - 7.0)
    bad = expit(seen)
    if every_risky_is_bad:
        seen, bad = np.where(is_risky, seen + 5.0, seen), np.where(is_risky, 1.0, bad)
    odds = seen[:, None] + noise * ndtri(luck[:, 2 : 2 + k])
    wait = luck[:, 2 + k : 2 + 2 * k]
    answer = np.where(odds > 0, BAD, GOOD)
    return Rows(
        wrong=np.where(answer == BAD, 1 - bad[:, None], bad[:, None]),
        score=np.abs(odds),
        answer=answer,
        latency_ms=ms * np.exp(0.4 * ndtri(wait)),
        cost_usd=usd * (0.5 + wait),
        bad=bad,
        slices={"risky": is_risky},
    )


SMALL, MIDDLE, LARGE = (0.01, 0.40, 1e-4, 5.0), (0.02, 0.28, 2e-3, 20.0), (0.03, 0.12, 1e-2, 60.0)
WORSE = (0.05, 0.50, 4e-3, 20.0)
CAPS = {"small": 2e-4, "middle": 4e-3, "large": 2e-2}
HEAD = "feasible: 1\nname: known\ngoal: {statement: A truth that the test knows}\nenvelope:\n"
PERSON = """\
layers:
  tiers: [{name: person, kind: person, usd: $0.05, error_rate: 2 %}]
"""


def _doubtful(name: str, promises: str, n: int = 1500, **options: object) -> Population:
    """Give a population of rows by doubt, with three tiers unless said otherwise."""
    kinds = options.pop("tiers", (SMALL, MIDDLE, LARGE))
    made = {
        key: options.pop(key) for key in ("levels", "noise", "slices", "hangs") if key in options
    }
    assert isinstance(kinds, tuple)
    names = options.pop("names", ("small", "middle", "large")[: len(kinds)])
    assert isinstance(names, tuple)
    return Population(
        name=name,
        text=HEAD + promises,
        tiers=names,
        make=lambda luck: doubtful(luck, tiers=kinds, **made),  # type: ignore[arg-type]
        dims=2 + 2 * len(kinds),
        n=n,
        worst_usd={tier: CAPS[tier] for tier in names},
        **options,  # type: ignore[arg-type]
    )


def _screening(name: str, promises: str, n: int = 2000, **made: bool) -> Population:
    kinds = ((3.0, 1e-4, 5.0), (1.0, 1e-2, 60.0))
    return Population(
        name=name,
        text=HEAD + promises,
        tiers=("small", "large"),
        make=lambda luck: screening(luck, tiers=kinds, **made),
        dims=6,
        n=n,
        worst_usd={tier: CAPS[tier] for tier in ("small", "large")},
    )


ACCURACY = "  - {quality: accuracy, at_least: 0.90}\n"
JUST_MISSED = "  - {quality: accuracy, at_least: 0.9302}\n"
"""The best tier is right 1 - (0.01 + 0.18 / 3) = 93 % of the time; on no row is another better."""
NEVER_BETTER = (SMALL, (0.01, 0.28, 2e-3, 20.0), (0.01, 0.19, 1e-2, 60.0))

GUESSES, KNOWS = (0.01, 0.90, 1e-4, 5.0), (0.02, 0.06, 1e-2, 60.0)
CUTS = """\
layers:
  tiers: [{name: small, kind: rules}, {name: large, kind: model, timeout: 150 ms}]
  serving: {deadline: 200 ms, fallback: {default: small}}
"""
"""Of 200 ms the tiers have 165: `large` has 150, or what is left after `small`."""
HANGS = _doubtful(
    "calls that hang",
    ACCURACY.replace("0.90", "0.94") + CUTS,
    n=6000,
    names=("small", "large"),
    tiers=(GUESSES, KNOWS),
    hangs=(0.0, 0.04),
)
"""What `large` does not say in time `small` guesses, and is often wrong: it was not sure."""

POPULATIONS: dict[str, Population] = {
    one.name: one
    for one in (
        _doubtful("one promise", ACCURACY),
        _doubtful("two promises", ACCURACY + "  - {cost: mean, at_most: $0.0055}\n"),
        _screening(
            "four promises",
            "  - {quality: accuracy, at_least: 0.94}\n"
            "  - {quality: recall, of: bad, on: risky, at_least: 0.82}\n"
            "  - {latency: p95, at_most: 110 ms}\n"
            "  - {people: reviews, at_most: 16 %}\n" + PERSON + "  serving: {deadline: 300 ms}\n",
            n=4000,
        ),
        _screening(
            "precision",
            "  - {quality: precision, of: bad, at_least: 0.85}\n"
            "  - {quality: recall, of: bad, at_least: 0.80}\n" + PERSON,
            n=5000,
        ),
        _doubtful("ties", ACCURACY, levels=5),
        _doubtful(
            "a tiny slice",
            ACCURACY + "  - {quality: accuracy, on: rare, at_least: 0.80}\n" + PERSON,
            slices={"rare": (0.0, 0.06)},
        ),
        _doubtful("entities", ACCURACY.replace("0.90", "0.88"), n=4800, per_entity=4),
        _doubtful("a dearer tier that is worse", ACCURACY, tiers=(SMALL, WORSE, LARGE)),
        _screening(
            "a slice of positives only",
            "  - {quality: recall, of: bad, on: risky, at_least: 0.86}\n" + PERSON,
            every_risky_is_bad=True,
        ),
        _doubtful(
            "right and in time",
            "  - {joint: right_in_time, within: 110 ms, at_least: 0.85}\n",
        ),
        _doubtful("partial losses", "  - {quality: overlap, at_least: 0.90}\n", partial=True),
        _doubtful(
            "a mix that is not the rows'",
            ACCURACY + "traffic: {slices: {rare: 10 %}}\n",
            n=2000,
            slices={"rare": (0.0, 0.1)},
            oversampled={"rare": 4.0},
        ),
        HANGS,
    )
}
"""By name. Limits lie where a good plan is near them: one that is careless breaks them."""

OUT_OF_REACH: dict[str, Population] = {
    one.name: one
    for one in (
        _doubtful("one promise", JUST_MISSED, tiers=NEVER_BETTER),
        _doubtful("ties", JUST_MISSED, tiers=NEVER_BETTER, levels=3),
        _doubtful("entities", JUST_MISSED, tiers=NEVER_BETTER, n=2400, per_entity=4),
        _doubtful(
            "partial losses",
            JUST_MISSED.replace("accuracy", "overlap"),
            tiers=NEVER_BETTER,
            partial=True,
        ),
        _doubtful(
            "a mix that is not the rows'",
            JUST_MISSED + "traffic: {slices: {rare: 10 %}}\n",
            tiers=NEVER_BETTER,
            slices={"rare": (0.0, 0.1)},
            oversampled={"rare": 4.0},
        ),
    )
}
"""The same with a limit just above what the best tier reaches: every certificate is false."""

TWO_GATES = _doubtful(
    "two gates",
    ACCURACY.replace("0.90", "0.95") + PERSON,
    n=900,
    tiers=(SMALL, (0.02, 0.20, 4e-3, 60.0)),
    levels=10,
)
"""So small and discrete that every policy can be tried."""
