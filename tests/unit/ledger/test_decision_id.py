from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feasible.clock import VirtualClock
from feasible.ledger.decision_id import micros, moment, new_decision_id


def test_an_id_is_a_uuid_7_of_its_millisecond() -> None:
    """RFC 9562, appendix A.6: the same instant has the same first 48 bits, 017F22E279B0."""
    clock = VirtualClock(datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC))
    made = uuid.UUID(new_decision_id(clock))
    assert made.hex[:12] == "017f22e279b0"
    assert (made.version, made.variant) == (7, uuid.RFC_4122)


def test_ids_of_the_same_instant_differ() -> None:
    """Sixty-two random bits tell them apart."""
    clock = VirtualClock(datetime(2026, 11, 23, tzinfo=UTC))
    assert len({new_decision_id(clock) for _ in range(1000)}) == 1000


@given(st.integers(1, 10**12))
def test_a_later_microsecond_sorts_later(step_us: int) -> None:
    """The order of ids as text is the order in time."""
    clock = VirtualClock(datetime(2026, 11, 23, 12, tzinfo=UTC))
    first = new_decision_id(clock)
    clock.advance(step_us / 1e6)
    assert first < new_decision_id(clock)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_survives_as_microseconds(at: datetime) -> None:
    """Any time there is, before 1970 too, comes back exactly."""
    assert moment(micros(at)) == at


def test_a_time_is_the_same_instant_in_every_zone_and_needs_one() -> None:
    """A time without a zone could be any of 24 instants."""
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert micros(noon.astimezone(timezone(timedelta(hours=5.5)))) == micros(noon)
    with pytest.raises(ValueError, match="needs its zone"):
        micros(noon.replace(tzinfo=None))
