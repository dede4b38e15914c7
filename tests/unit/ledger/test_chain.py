from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from feasible.ledger.chain import Chain
from feasible.ledger.commitments import leaf
from feasible.ledger.tables import DECISIONS, EVENTS

LEAVES = [b"a" * 32, b"b" * 32]


def test_a_link_is_the_hash_that_its_description_says() -> None:
    """Worked out by hand, so that a ledger can be verified by another program."""
    text = b"3:decisions:ab\n" + b"".join(LEAVES)
    plain = Chain().link("ab", seq=3, of="decisions", leaves=LEAVES)
    keyed = Chain(b"secret").link("ab", seq=3, of="decisions", leaves=LEAVES)
    digest = hashlib.sha256(text)
    assert plain == digest.hexdigest()
    assert keyed == hmac.new(b"secret", digest.digest(), "sha256").hexdigest()


CELL = st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5)
EVENT = st.tuples(CELL, CELL, CELL, CELL, CELL, st.binary(max_size=5))


@given(EVENT, EVENT)
def test_other_rows_have_another_leaf(row: tuple[object, ...], other: tuple[object, ...]) -> None:
    """Wherever one cell ends and the next begins."""
    assert (leaf(EVENTS, row) == leaf(EVENTS, other)) == (row == other)


@given(st.binary(max_size=5), st.binary(max_size=5), st.sampled_from([11, 12, 13, 14]))
def test_each_part_of_a_decision_is_committed_to(one: bytes, other: bytes, column: int) -> None:
    """The answer, the request, the rest of the body, and the salts."""
    row: list[object] = [1, "d", 5, "p", "t", None, 1.0, 0, 0, None, None]
    row += [b"answer", b"request", b"body", b"s" * 48]
    row[column] = one
    changed = [*row]
    changed[column] = other
    assert (leaf(DECISIONS, tuple(row)) == leaf(DECISIONS, tuple(changed))) == (one == other)


def test_number_table_and_hash_before_are_part_of_a_link() -> None:
    """The same rows elsewhere are another link."""
    links = {
        Chain().link(before, seq=seq, of=of, leaves=LEAVES)
        for before in ("", "ab")
        for seq in (1, 2)
        for of in ("decisions", "labels")
    }
    assert len(links) == 8


def test_a_key_is_told_from_another_and_never_shown() -> None:
    """What is stored about a secret tells only whether it is the same."""
    assert Chain(b"a").check_value() != Chain(b"b").check_value()
    assert "hunter2" not in repr(Chain(b"hunter2")) + Chain(b"hunter2").check_value()
