"""Every state that workers share keeps the same promises; a new engine earns its place here."""

from __future__ import annotations

import multiprocessing
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feasible.clock import VirtualClock
from feasible.errors import StateError
from feasible.state import (
    Claim,
    Limit,
    MemoryState,
    Refusal,
    Reservation,
    Spending,
    SqliteState,
    State,
    Taken,
)

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
DAY = "cost_day 2026-12-01"
MONTH = "cost_month 2026-12"


@pytest.fixture
def clock() -> VirtualClock:
    """Give a clock that moves when told to."""
    return VirtualClock(NOON)


@pytest.fixture(params=["sqlite", "memory"])
def make(
    request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock
) -> Iterator[Callable[[], State]]:
    """Give what makes an empty state of each kind."""
    made: list[State] = []

    def new() -> State:
        path = tmp_path / f"{len(made)}.state"
        state: State = (
            SqliteState(path, clock=clock)
            if request.param == "sqlite"
            else MemoryState(clock=clock)
        )
        made.append(state)
        return state

    yield new
    for state in made:
        state.close()


@pytest.fixture
def state(make: Callable[[], State]) -> State:
    """Give an empty state."""
    return make()


def held(found: Reservation | Refusal) -> Reservation:
    """Give a reservation that was not refused."""
    assert isinstance(found, Reservation)
    return found


def used(state: State, window: str = DAY) -> tuple[int, int]:
    """Give what was spent and what is set aside in all parts of a window."""
    parts = state.spending(window).values()
    return sum(part.spent_nusd for part in parts), sum(part.held_nusd for part in parts)


def test_what_is_set_aside_is_not_there_for_others(state: State) -> None:
    """A refusal says what was left and changes nothing."""
    held(state.reserve(70, [Limit(DAY, 100)], lease_s=10))

    assert state.reserve(31, [Limit(DAY, 100)], lease_s=10) == Refusal(DAY, 30)
    assert used(state) == (0, 70)
    held(state.reserve(30, [Limit(DAY, 100)], lease_s=10))
    assert state.reserve(1, [Limit(DAY, 100)], lease_s=10) == Refusal(DAY, 0)


def test_a_settled_reservation_counts_with_what_was_spent(state: State) -> None:
    """The rest of the worst case is there again; more than it counts too."""
    first = held(state.reserve(70, [Limit(DAY, 100)], lease_s=10))
    state.settle([(first, 20)])
    assert used(state) == (20, 0)

    second = held(state.reserve(80, [Limit(DAY, 100)], lease_s=10))
    state.settle([(second, 95)])
    assert used(state) == (115, 0)
    assert state.reserve(1, [Limit(DAY, 100)], lease_s=10) == Refusal(DAY, -15)


def test_an_unknown_bill_counts_with_the_worst_case(state: State) -> None:
    """It is never nothing."""
    state.settle([(held(state.reserve(70, [Limit(DAY, 100)], lease_s=10)), None)])
    assert used(state) == (70, 0)


def test_settling_twice_is_settling_once(state: State) -> None:
    """Whoever is not sure may say it again."""
    first = held(state.reserve(70, [Limit(DAY, 100)], lease_s=10))
    state.settle([(first, 20), (first, 20)])
    state.settle([(first, 20)])
    assert used(state) == (20, 0)


def test_all_windows_or_none(state: State) -> None:
    """What does not fit into the month is not set aside in the day either."""
    held(state.reserve(50, [Limit(MONTH, 60)], lease_s=10))
    found = state.reserve(20, [Limit(DAY, 100), Limit(MONTH, 60)], lease_s=10)
    assert found == Refusal(MONTH, 10)
    assert used(state) == (0, 0)

    both = held(state.reserve(10, [Limit(DAY, 100), Limit(MONTH, 60)], lease_s=10))
    state.settle([(both, 4)])
    assert used(state) == (4, 0)
    assert used(state, MONTH) == (4, 50)


def test_a_reservation_comes_back_when_its_lease_is_over_and_not_before(
    state: State, clock: VirtualClock
) -> None:
    """Whoever held it may be gone for good."""
    held(state.reserve(100, [Limit(DAY, 100)], lease_s=10))
    clock.advance(9.9)
    assert state.expire() == 0
    assert state.reserve(1, [Limit(DAY, 100)], lease_s=10) == Refusal(DAY, 0)

    clock.advance(0.1)
    assert state.expire() == 1
    assert used(state) == (0, 0)
    held(state.reserve(100, [Limit(DAY, 100)], lease_s=10))


def test_a_lease_ends_without_anybody_looking_after_it(state: State, clock: VirtualClock) -> None:
    """The next reservation finds what came back."""
    held(state.reserve(100, [Limit(DAY, 100)], lease_s=10))
    clock.advance(10)
    held(state.reserve(100, [Limit(DAY, 100)], lease_s=10))


def test_money_that_went_after_the_lease_is_spent_all_the_same(
    state: State, clock: VirtualClock
) -> None:
    """A late bill is counted once."""
    late = held(state.reserve(100, [Limit(DAY, 100)], lease_s=10))
    clock.advance(11)
    assert state.expire() == 1
    state.settle([(late, 60)])
    state.settle([(late, 60)])
    assert used(state) == (60, 0)


def test_an_allowance_grows_with_decisions(state: State) -> None:
    """The one that asks counts, those that cost nothing count, and the first allowance stays."""

    def limit() -> Limit:
        return Limit(DAY, 30, each_nusd=10)

    assert state.reserve(31, [limit()], lease_s=10) == Refusal(DAY, 30)
    first = held(state.reserve(30, [limit()], lease_s=10))
    state.settle([(first, 30)], noted={(DAY, ""): Spending(decisions=1)})
    assert state.reserve(10, [limit()], lease_s=10) == Refusal(DAY, 0)
    assert state.reserve(
        10, [limit()], lease_s=10, noted={(DAY, ""): Spending(decisions=2)}
    ) == Reservation(number=first.number + 1, amount_nusd=10, parts=((DAY, ""),))
    assert state.spending(DAY)[""].decisions == 3


def test_what_was_spent_without_a_reservation_is_counted(state: State) -> None:
    """In the part that it is said of."""
    state.settle([], noted={(DAY, "urgent"): Spending(spent_nusd=7)})
    found = state.reserve(94, [Limit(DAY, 100)], lease_s=10, noted={(DAY, ""): Spending(3, 0, 2)})
    assert found == Refusal(DAY, 90)
    assert state.spending(DAY) == {"": Spending(3, 0, 2), "urgent": Spending(7)}


def test_a_part_keeps_its_share(state: State) -> None:
    """Others cannot have it; it may have all that is left."""
    shares = {"urgent": 0.3}
    ordinary, urgent = Limit(DAY, 100, shares=shares), Limit(DAY, 100, part="urgent", shares=shares)
    assert state.reserve(71, [ordinary], lease_s=10) == Refusal(DAY, 70)

    state.settle([(held(state.reserve(20, [urgent], lease_s=10)), 20)])
    state.settle([(held(state.reserve(70, [ordinary], lease_s=10)), 70)])
    assert state.reserve(1, [ordinary], lease_s=10) == Refusal(DAY, 0)
    held(state.reserve(10, [urgent], lease_s=10))


def test_a_part_may_spend_what_nobody_keeps(state: State) -> None:
    """And then others have what it left."""
    shares = {"urgent": 0.3, "legal": 0.2}
    urgent = Limit(DAY, 100, part="urgent", shares=shares)
    assert state.reserve(81, [urgent], lease_s=10) == Refusal(DAY, 80)
    held(state.reserve(80, [urgent], lease_s=10))

    assert state.reserve(1, [Limit(DAY, 100, shares=shares)], lease_s=10) == Refusal(DAY, 0)
    held(state.reserve(20, [Limit(DAY, 100, part="legal", shares=shares)], lease_s=10))


def test_a_service_that_starts_takes_over_what_its_ledger_says(
    state: State, clock: VirtualClock
) -> None:
    """Spending is what the ledger says; who is under way stays so until the lease is over."""
    state.settle(
        [(held(state.reserve(50, [Limit(DAY, 100)], lease_s=10)), 50)],
        noted={(DAY, ""): Spending(decisions=9)},
    )
    open_one = held(state.reserve(20, [Limit(DAY, 100)], lease_s=10))

    state.begin()
    assert used(state) == (0, 20)
    state.adopt({(DAY, ""): Spending(spent_nusd=33, decisions=4)})

    assert state.spending(DAY) == {"": Spending(33, 20, 4)}
    state.settle([(open_one, 7)])
    assert used(state) == (40, 0)
    clock.advance(20)
    assert state.expire() == 0


def test_a_worker_that_starts_later_changes_nothing(state: State) -> None:
    """What others have adopted, or count in, is not counted again; what is new to all is."""
    state.begin()
    told = {(DAY, ""): Spending(spent_nusd=33, decisions=4)}
    state.adopt(told)
    state.settle([(held(state.reserve(5, [Limit(DAY, 100)], lease_s=10)), 5)])

    state.adopt(told | {(MONTH, "urgent"): Spending(spent_nusd=70)})
    assert used(state) == (38, 0)
    assert used(state, MONTH) == (70, 0)

    state.settle([], noted={("tomorrow", ""): Spending(decisions=0)})
    state.adopt({("tomorrow", ""): Spending(spent_nusd=1, decisions=1)})
    assert used(state, "tomorrow") == (0, 0)


def test_a_claimed_key_is_taken_until_it_is_let_go(state: State) -> None:
    """One works on it, others hear for how long at most."""
    first = state.claim("k", lease_s=10)
    assert isinstance(first, Claim)
    assert state.claim("k", lease_s=10) == Taken(left_s=10)
    assert isinstance(state.claim("other", lease_s=10), Claim)

    state.release(first)
    assert isinstance(state.claim("k", lease_s=10), Claim)


def test_a_claim_ends_with_its_lease_and_does_not_take_the_next_one_along(
    state: State, clock: VirtualClock
) -> None:
    """Whoever comes back from the dead lets go of nothing."""
    first = state.claim("k", lease_s=10)
    assert isinstance(first, Claim)
    clock.advance(10)
    assert isinstance(state.claim("k", lease_s=10), Claim)
    state.release(first)
    assert isinstance(state.claim("k", lease_s=10), Taken)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "settle", "unknown", "wait", "expire"]),
        st.integers(0, 40),
        st.sampled_from(["", "urgent"]),
    ),
    max_size=30,
)


@given(steps=STEPS)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_spent_and_set_aside_never_exceed_the_allowance(
    make: Callable[[], State],
    clock: VirtualClock,
    steps: list[tuple[str, int, str]],
) -> None:
    """As long as no call costs more than its worst case and none outlives its lease."""
    state, open_ones, expected = make(), list[Reservation](), 0
    for what, amount, part in steps:
        if what == "reserve":
            limit = Limit(DAY, 100, part=part, shares={"urgent": 0.3})
            found = state.reserve(amount, [limit], lease_s=10)
            if isinstance(found, Reservation):
                open_ones.append(found)
        elif what in {"settle", "unknown"} and open_ones:
            one = open_ones.pop(0)
            actual = None if what == "unknown" else min(amount, one.amount_nusd)
            state.settle([(one, actual)])
            expected += one.amount_nusd if actual is None else actual
        elif what == "wait":
            clock.advance(10)
            open_ones = []
        elif what == "expire":
            state.expire()
        spent, aside = used(state)
        assert spent == expected
        assert aside == sum(one.amount_nusd for one in open_ones)
        assert spent + aside <= 100
        ordinary = state.spending(DAY).get("", Spending())
        assert ordinary.used_nusd <= 70


def _spend(path: Path, rounds: int, results: multiprocessing.SimpleQueue[int]) -> None:
    """Reserve 3, spend 2, as often as there is money; tell what was spent."""
    state, spent = SqliteState(path), 0
    for _ in range(rounds):
        found = state.reserve(3, [Limit(DAY, 400)], lease_s=60)
        if isinstance(found, Reservation):
            state.settle([(found, 2)])
            spent += 2
    results.put(spent)
    state.close()


@pytest.mark.slow
def test_several_processes_do_not_spend_more_than_one(tmp_path: Path) -> None:
    """Each sees what the others set aside; not a nano-dollar is lost or counted twice."""
    context = multiprocessing.get_context("spawn")
    path, results = tmp_path / "shared.state", context.SimpleQueue()
    workers = [context.Process(target=_spend, args=(path, 150, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    spent = sum(results.get() for _ in workers)

    state = SqliteState(path)
    assert spent == 398  # the last 3 do not fit when 398 are spent
    assert used(state) == (398, 0)
    state.close()


DIES = """
import os, signal, sys
from pathlib import Path
from feasible.state import Limit, SqliteState
state = SqliteState(Path(sys.argv[1]))
state.settle([(state.reserve(10, [Limit("w", 100)], lease_s=60), 10)])
state.reserve(40, [Limit("w", 100)], lease_s=60)
state.claim("k", lease_s=60)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaks_nothing_after_the_lease(tmp_path: Path) -> None:
    """What it had spent is spent, what it had set aside stays so until the lease is over."""
    path = tmp_path / "shared.state"
    dead = subprocess.run([sys.executable, "-c", DIES, str(path)], check=False, timeout=60)
    assert dead.returncode == -signal.SIGKILL

    clock = VirtualClock(datetime.now(UTC))
    state = SqliteState(path, clock=clock)
    assert used(state, "w") == (10, 40)
    assert isinstance(state.claim("k", lease_s=1), Taken)
    clock.advance(60)
    assert used(state, "w") == (10, 0)
    assert isinstance(state.claim("k", lease_s=1), Claim)
    state.close()


def test_a_file_that_is_no_state_is_begun_anew_only_by_whoever_may(tmp_path: Path) -> None:
    """It is made again from the ledger; a second worker must not throw away what others hold."""
    path = tmp_path / "shared.state"
    path.write_bytes(b"this is no database, and longer than its header would be" * 40)
    with pytest.raises(StateError, match="cannot be used"):
        SqliteState(path)

    state = SqliteState(path, anew=True)
    held(state.reserve(1, [Limit(DAY, 100)], lease_s=10))
    state.close()
    SqliteState(path).close()


def test_a_worker_that_is_stuck_refuses_the_others_in_bounded_time(tmp_path: Path) -> None:
    """They are told that the state cannot be used; nothing is set aside half."""
    path = tmp_path / "shared.state"
    state = SqliteState(path)
    stuck = sqlite3.connect(path, isolation_level=None)
    stuck.execute("BEGIN IMMEDIATE")
    with pytest.raises(StateError, match="cannot be used"):
        state.reserve(1, [Limit(DAY, 100)], lease_s=10)
    stuck.execute("ROLLBACK")
    stuck.close()

    held(state.reserve(100, [Limit(DAY, 100)], lease_s=10))
    state.close()
