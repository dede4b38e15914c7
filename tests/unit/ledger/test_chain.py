from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from feasible.ledger.chain import Chain

ROW = (1, "d1", None, 5, b"{}")


def test_a_link_is_the_hash_that_its_description_says() -> None:
    """Worked out by hand, so that a ledger can be verified by another program."""
    columns = b'[1,"d1",null,5]'
    text = b"3:decisions:ab\n" + b"%d 2\n" % len(columns) + columns + b"{}"
    plain = Chain().link("ab", seq=3, of="decisions", rows=[ROW])
    keyed = Chain(b"secret").link("ab", seq=3, of="decisions", rows=[ROW])
    digest = hashlib.sha256(text)
    assert plain == digest.hexdigest()
    assert keyed == hmac.new(b"secret", digest.digest(), "sha256").hexdigest()


CELL = st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5)
ROWS = st.lists(st.tuples(CELL, CELL, st.binary(max_size=5)), max_size=4)


@given(ROWS, ROWS)
def test_other_rows_have_another_hash(
    rows: list[tuple[object, ...]], others: list[tuple[object, ...]]
) -> None:
    """Wherever one row or cell ends and the next begins."""
    one, other = (Chain().link("", seq=1, of="labels", rows=part) for part in (rows, others))
    assert (one == other) == (rows == others)


def test_number_table_and_hash_before_are_part_of_a_link() -> None:
    """The same rows elsewhere are another link."""
    links = {
        Chain().link(before, seq=seq, of=of, rows=[ROW])
        for before in ("", "ab")
        for seq in (1, 2)
        for of in ("decisions", "labels")
    }
    assert len(links) == 8


def test_a_key_is_told_from_another_and_never_shown() -> None:
    """What is stored about a secret tells only whether it is the same."""
    assert Chain(b"a").check_value() != Chain(b"b").check_value()
    assert "hunter2" not in repr(Chain(b"hunter2")) + Chain(b"hunter2").check_value()
