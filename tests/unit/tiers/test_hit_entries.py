from __future__ import annotations

import numpy as np

from feasible.tiers.hit_entries import Entries, Entry

SCOPE, OTHER = "0" * 64, "1" * 64


def pointing(*at: int) -> np.ndarray:
    """Give an embedding of length 1 along some axes."""
    made = np.zeros(384, np.float32)
    made[list(at)] = 1 / np.sqrt(len(at))
    return made


def test_the_nearest_come_first_and_only_of_the_scope() -> None:
    """Another tenant's question is not found, however near it is."""
    entries = Entries(10)
    entries.put(Entry("a", SCOPE, "a", 1), pointing(0, 1))
    entries.put(Entry("b", SCOPE, "b", 2), pointing(0))
    entries.put(Entry("c", OTHER, "c", 3), pointing(0))
    found = entries.nearest(pointing(0), SCOPE, most=5, now_s=0.0)
    assert [entry.key for _, entry in found] == ["b", "a"]
    assert [round(cosine, 3) for cosine, _ in found] == [1.0, 0.707]


def test_scopes_whose_numbers_collide_are_still_apart() -> None:
    """Rows are picked by 64 bits of the hash and compared by all of it."""
    entries = Entries(10)
    entries.put(Entry("a", "0" * 16 + "f" * 48, "a", 1), pointing(0))
    assert entries.nearest(pointing(0), SCOPE, most=5, now_s=0.0) == []


def test_beyond_its_size_the_entry_not_used_for_longest_is_forgotten() -> None:
    """And its place is taken, so that memory stays bounded."""
    entries = Entries(2)
    for number, key in enumerate("abc"):
        if key == "c":
            entries.touch("a")
        entries.put(Entry(key, SCOPE, key, key), pointing(number))
    kept = {key for key in "abc" if entries.get(key, now_s=0.0)}
    assert kept == {"a", "c"}
    assert len(entries) == 2
    found = entries.nearest(pointing(1), SCOPE, most=5, now_s=0.0)
    assert {entry.key for _, entry in found} == {"a", "c"}


def test_what_is_too_old_is_not_found() -> None:
    """Not by its words and not by its meaning."""
    entries = Entries(2)
    entries.put(Entry("a", SCOPE, "a", 1, until_s=10.0), pointing(0))
    assert entries.get("a", now_s=9.9) is not None
    assert entries.get("a", now_s=10.0) is None
    assert entries.nearest(pointing(0), SCOPE, most=5, now_s=10.0) == []


def test_the_same_words_are_held_once() -> None:
    """The later answer replaces the earlier one."""
    entries = Entries(5)
    for value in (1, 2):
        entries.put(Entry("a", SCOPE, "a", value), pointing(0))
    assert [e.value for _, e in entries.nearest(pointing(0), SCOPE, most=5, now_s=0)] == [2]


def test_it_grows_beyond_its_first_room() -> None:
    """Memory is taken as it is needed."""
    entries = Entries(1_000)
    for number in range(700):
        entries.put(Entry(f"{number}", SCOPE, "", number), pointing(number % 384))
    assert len(entries) == 700
    assert entries.nearest(pointing(5), SCOPE, most=1, now_s=0)[0][1].value in {5, 389}
