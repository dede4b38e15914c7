"""What is simulated: a policy, what each tier can bear, how requests come. Frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from feasible.cascade import Policy, Table
from feasible.schema import BoolArray, FloatArray
from feasible.simulation.arrivals import Arrivals

__all__ = [
    "UNLIMITED",
    "Batching",
    "Breaking",
    "CacheFront",
    "Cases",
    "Design",
    "Misses",
    "Outage",
    "People",
    "Quota",
    "Retrying",
    "Scaling",
    "Service",
    "TierLoad",
    "Tokens",
]

UNLIMITED: Final = 10**9


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a language model reads and writes, and what that takes.

    A turn of a conversation sends all turns before it again, so that what a whole conversation
    reads grows with the square of its turns.

    Attributes:
        reads: Mean tokens of a prompt's own text.
        writes: Mean tokens of an answer.
        spread: Standard deviation of the logarithm of both.
        first_s: Time to the first token of an empty prompt. Seconds.
        read_s: Seconds per token read.
        read2_s: Seconds per squared token read, for long prompts.
        write_s: Seconds per token written.
        turns: Turns of a conversation, each as likely as the others; 1: none.
        turn_tokens: Tokens that each turn before adds to the prompt.
        usd_read: Dollars per token read.
        usd_write: Dollars per token written.
        usd_cached: Dollars per token that the vendor has read before; None: as the others.
        prefix: Tokens at the start that are the same in every prompt, and are in the vendor's
            cache.
    """

    reads: float = 800.0
    writes: float = 60.0
    spread: float = 0.6
    first_s: float = 0.15
    read_s: float = 2e-5
    read2_s: float = 0.0
    write_s: float = 0.004
    turns: int = 1
    turn_tokens: float = 0.0
    usd_read: float = 0.0
    usd_write: float = 0.0
    usd_cached: float | None = None
    prefix: float = 0.0


@dataclass(frozen=True, slots=True)
class Service:
    """How long a call takes once it is begun.

    Attributes:
        kind: A distribution; `rows`: what the call took on the case's own row of the profile;
            `measured`: what any of `sample_s` took, where the case has no part in it; `tokens`:
            what reading and writing take.
        mean_s: Mean, for a distribution. Seconds.
        spread: Standard deviation of the logarithm, for `lognormal`.
        factor: Multiplies whatever comes out.
        tokens: For `tokens`.
        sample_s: For `measured`. Seconds.
    """

    kind: Literal["exponential", "lognormal", "fixed", "rows", "measured", "tokens"]
    mean_s: float = 0.0
    spread: float = 0.6
    factor: float = 1.0
    tokens: Tokens = Tokens()
    sample_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Batching:
    """Calls that are answered together: `base_s + each_s * calls` for all of them."""

    most: int
    wait_s: float
    base_s: float
    each_s: float


@dataclass(frozen=True, slots=True)
class Quota:
    """What a vendor allows per minute; a bucket holds one second of it. None: any number."""

    calls: float | None = None
    reads: float | None = None
    writes: float | None = None


@dataclass(frozen=True, slots=True)
class Outage:
    """A stretch of time in which calls fail or are slow.

    Attributes:
        start_s: When it begins. Seconds.
        end_s: When it is over. Seconds.
        kind: `error`: the call fails after `after_s`; `slow`: it takes `factor` times as long.
        factor: For `slow`.
        after_s: For `error`. Seconds.
        share: Share of the calls that it hits.
    """

    start_s: float
    end_s: float
    kind: Literal["error", "slow"]
    factor: float = 1.0
    after_s: float = 0.05
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Retrying:
    """Calls that are made again.

    Attributes:
        times: Most further calls of one case at one tier.
        backoff_s: Wait before the first; each wait is twice the one before, times 0.5 to 1.5.
        budget: Largest share of calls that may be further calls; None: any.
        redraw: Whether a further call takes a time of its own; else a long prompt stays long.
    """

    times: int
    backoff_s: float = 0.05
    budget: float | None = None
    redraw: bool = False


@dataclass(frozen=True, slots=True)
class Breaking:
    """When a tier is not asked any more, and for how long; then one trial call decides.

    Attributes:
        in_a_row: Failures in a row that open it; None: by the share in the window.
        within_s: These failures need not be in a row, but lie in so many seconds. None: in a row.
        window: Calls looked back at.
        least: Calls in the window before it can open.
        share: Share of failures in the window above which it opens.
        open_s: Seconds until the trial call.
        longest_s: Each trial that fails doubles the time to the next one, up to so many seconds;
            None: it stays.
    """

    in_a_row: int | None = None
    within_s: float | None = None
    window: int = 50
    least: int = 20
    share: float = 0.5
    open_s: float = 10.0
    longest_s: float | None = None


@dataclass(frozen=True, slots=True)
class Scaling:
    """Slots that follow the load, late.

    Attributes:
        every_s: How often the load is looked at.
        target: Busy and waiting calls per slot that are aimed at.
        lag_s: How long a new slot takes to be there; one that goes is gone at once.
        least: Fewest slots.
        most: Most slots.
    """

    every_s: float
    target: float
    lag_s: float
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class TierLoad:
    """What one tier can bear.

    Attributes:
        name: Tier, as in the policy.
        slots: Calls under way at most.
        service: How long a call takes.
        usd: Dollars of one call; None: as the profile says of the case, or as its tokens cost.
        waiting: Calls that may wait for a slot; one more is refused.
        patience_s: Longest wait for a slot; None: as long as there is time. Seconds.
        vendor: Whose fault an outage is: tiers of one vendor fail together.
        batching: Whether calls are answered together; None: one by one.
        quota: What the vendor allows.
        outages: When it fails or is slow.
        retrying: Whether calls are made again.
        breaking: Whether it is left alone after failures.
        scaling: Whether slots follow the load.
        admits: Whether it is passed over when what calls took lately would not fit the deadline.
        crowding: How much longer a call takes when all slots are busy. Ratio; 0: no longer.
    """

    name: str
    slots: int
    service: Service
    usd: float | None = 0.0
    waiting: int = UNLIMITED
    patience_s: float | None = None
    vendor: str | None = None
    batching: Batching | None = None
    quota: Quota | None = None
    outages: tuple[Outage, ...] = ()
    retrying: Retrying | None = None
    breaking: Breaking | None = None
    scaling: Scaling | None = None
    admits: bool = False
    crowding: float = 0.0


@dataclass(frozen=True, slots=True)
class CacheFront:
    """A cache before all tiers.

    Attributes:
        hit: Share of requests that it answers; None: by keys, filled while it runs.
        keys: Different requests there are.
        zipf: How uneven they are: the k-th is asked k**-zipf as often as the first.
        ttl_s: How long an answer is kept, from its filling.
        size: Most answers it holds.
        answers_ms: What a hit takes. Milliseconds.
        flush_s: Instants at which it is emptied.
    """

    hit: float | None = None
    keys: int = 20_000
    zipf: float = 1.0
    ttl_s: float = 300.0
    size: int = UNLIMITED
    answers_ms: float = 1.0
    flush_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class People:
    """People who take what machines hand over.

    Attributes:
        per_hour: Cases that all on duty settle in an hour.
        minutes_each: What one case takes one person. Minutes.
        share: Share of all decisions that they see besides those handed over, for example audits.
        shift_hours: Hours of the day that somebody is there; the same work is done in less time.
        usd_each: Dollars per case.
    """

    per_hour: float
    minutes_each: float = 4.0
    share: float = 0.0
    shift_hours: tuple[float, float] = (0.0, 24.0)
    usd_each: float = 0.0


@dataclass(frozen=True, slots=True)
class Misses:
    """How one promise about quality counts each row, whoever answers it.

    Attributes:
        miss: shape (n_rows, n_exits). Loss 0 to 1; NaN where unknown. Exits are the policy's steps
            and, last, nobody.
        counts: shape (n_rows, n_exits). Whether the row judges the promise at that exit.
    """

    miss: FloatArray
    counts: BoolArray


@dataclass(frozen=True, slots=True)
class Cases:
    """The rows that requests are drawn from, each as likely as its weight.

    Attributes:
        table: What each step would do with each row.
        group: Per step, the answer groups that occur.
        group_of: Per step, shape (n_rows,): index into its groups.
        fallback: shape (n_rows,). Position of the row's fallback; -1: nobody.
        fallback_ms: When a fallback must have answered, in milliseconds; None: no deadline.
        weight: shape (n_rows,); None: all alike.
        quality: Objective id -> how it counts the rows.
        slices: Name -> membership, shape (n_rows,).
    """

    table: Table
    group: tuple[tuple[str, ...], ...]
    group_of: tuple[tuple[int, ...], ...]
    fallback: tuple[int, ...]
    fallback_ms: float | None = None
    weight: FloatArray | None = None
    quality: Mapping[str, Misses] = field(default_factory=dict)
    slices: Mapping[str, BoolArray] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Design:
    """Everything that a run needs but luck.

    Attributes:
        name: Whose design it is.
        policy: Who is asked in which order, and which answer is given.
        tiers: What each step of the policy can bear, in its order.
        cases: Rows to draw requests from.
        arrivals: How requests come.
        cache: A cache before all tiers.
        people: Who takes what is handed over.
        budget_usd_day: Spent at most in 24 hours by tiers that cost something.
        enforces_budget: Whether those tiers are passed over once it is spent; else it is only a
            number to compare with.
        after_failure: `next`: a failed call is followed by the next tier; `fall_back`: by the
            fallback.
        front: The service itself, before everything: what its own work takes. None: no time.
        commit: The group commit behind everything: answers that are ready together leave together.
            None: no time.
        overhead_ms: What reading and writing added to answers where it was measured; each answer
            gets one of them, and no slot is held for it. Milliseconds; none: no time.
    """

    name: str
    policy: Policy
    tiers: tuple[TierLoad, ...]
    cases: Cases
    arrivals: Arrivals
    cache: CacheFront | None = None
    people: People | None = None
    budget_usd_day: float | None = None
    enforces_budget: bool = False
    after_failure: Literal["next", "fall_back"] = "next"
    front: TierLoad | None = None
    commit: Batching | None = None
    overhead_ms: tuple[float, ...] = ()
