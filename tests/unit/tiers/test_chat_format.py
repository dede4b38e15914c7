from __future__ import annotations

import pytest

from feasible.tiers.chat_format import Usage, label_in, read_reply, request_body

KNOWN = {label.casefold(): label for label in ("Refund", "card", "card_lost", "a+b")}


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('{"answer": "Refund"}', "Refund"),
        ('{"answer": " refund "}', "Refund"),
        ('{ "answer"\n:\n"card_lost"', "card_lost"),
        ("card", "card"),
        (" **Card.** ", "card"),
        ("The answer is card_lost.", "card_lost"),
        ("It is a+b!", "a+b"),
        ('{"answer": "discard"}', None),
        ('{"answer": 3}', None),
        ("discard", None),
        ("refund, or rather card", None),
        ("I do not know", None),
        ("", None),
        ("[" * 100_000, None),
    ],
)
def test_a_label_counts_only_when_it_is_the_one_that_is_named(text: str, label: str | None) -> None:
    """Neither part of a word, nor one of two, nor one we do not know."""
    assert label_in(text, KNOWN) == label


def test_without_labels_nothing_is_named() -> None:
    """An empty set matches no text."""
    assert label_in("card", {}) is None


def test_a_reply_gives_text_and_tokens() -> None:
    """As the format writes it, with fields that we do not need."""
    content = (
        b'{"id": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}}],'
        b' "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}}'
    )
    reply = read_reply(content)
    assert (reply.text, reply.usage) == ("hi", Usage(7, 2))


def test_missing_tokens_are_unknown() -> None:
    """Some servers do not count."""
    reply = read_reply(b'{"choices": [{"message": {"content": null}}]}')
    assert (reply.text, reply.usage) == ("", None)


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"{}", b'{"choices": []}', b'{"choices": 3}', b"\xff\xfe"]
)
def test_anything_else_is_not_a_chat_completion(content: bytes) -> None:
    """One error for every kind of garbage."""
    with pytest.raises(ValueError, match="chat completion"):
        read_reply(content)


def test_the_schema_lists_the_labels_and_can_be_left_out() -> None:
    """Some servers refuse it."""
    for labels, json_schema, expected in (
        (("a",), True, True),
        (("a",), False, False),
        ((), True, False),
    ):
        body = request_body(
            "hi", model="m", system="s", labels=labels, max_tokens=5, json_schema=json_schema
        )
        assert ("response_format" in body) is expected
        assert body["messages"][1] == {"role": "user", "content": "hi"}
