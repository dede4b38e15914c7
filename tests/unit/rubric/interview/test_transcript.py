from __future__ import annotations

import pytest

from feasible.errors import BadInput
from feasible.rubric.interview import format_turn, parse_document, parse_transcript


def test_a_turn_reads_back_as_it_was_written() -> None:
    """Time, speaker and words survive writing and reading."""
    text = "02:40 candidate: p99 under 200 ms\n   and $0.003 each"
    turn = parse_transcript(text).turns[0]
    assert (turn.at_s, turn.text) == (160.0, "p99 under 200 ms and $0.003 each")
    assert parse_transcript(format_turn(turn)).turns[0].text == turn.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello", "interview.txt:1 is no turn"),
        ("02:00 candidate: a\n01:00 candidate: b", "interview.txt:2 was said before"),
        ("00:00 interviewer: why?", "holds no answer"),
        ("00:75 candidate: a", "interview.txt:1 is no turn"),
    ],
)
def test_what_is_no_interview_is_refused_with_its_line(text: str, words: str) -> None:
    """Nothing is skipped in silence."""
    with pytest.raises(BadInput, match=words):
        parse_transcript(text)


def test_a_document_has_an_order_and_no_times() -> None:
    """A heading sets the topic, as a question does."""
    found = parse_document("# Constraints\n\np99 under 200 ms\n\n# Design\n\nRules.")
    assert not found.is_timed
    assert [turn.asks for turn in found.turns] == [True, False, True, False]
