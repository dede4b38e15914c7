"""The OpenAI chat format: what is sent, what comes back, and which label it names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

__all__ = ["ChatReply", "Usage", "label_in", "read_reply", "request_body"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as the server counted them."""

    tokens_in: int
    tokens_out: int


@dataclass(frozen=True, slots=True)
class ChatReply:
    """What came back.

    Attributes:
        text: What the model wrote.
        usage: Tokens; None when the server did not say.
    """

    text: str
    usage: Usage | None


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


def request_body(
    text: str, *, model: str, system: str, labels: Sequence[str], max_tokens: int, json_schema: bool
) -> dict[str, Any]:
    """Give the body of one request: the text, and the labels as a schema where there are any."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": text},
        ],
        "max_tokens": max_tokens,
        "temperature": 0,
        "stream": False,
    }
    if labels and json_schema:
        schema = {
            "type": "object",
            "properties": {"answer": {"type": "string", "enum": list(labels)}},
            "required": ["answer"],
            "additionalProperties": False,
        }
        named = {"name": "answer", "strict": True, "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    return body


def read_reply(content: bytes) -> ChatReply:
    """Read the body of an answer.

    Raises:
        ValueError: It is not a chat completion with at least one choice.
    """
    try:
        completion = msgspec.json.decode(content, type=_Completion)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"not a chat completion: {error}") from error
    if not completion.choices:
        raise ValueError("a chat completion without choices")
    used = completion.usage
    return ChatReply(
        text=completion.choices[0].message.content or "",
        usage=None if used is None else Usage(used.prompt_tokens, used.completion_tokens),
    )


def label_in(text: str, labels: Mapping[str, str]) -> str | None:
    """Give the label that a model's text names, or None when it names none or several.

    The text is JSON with an `answer` where the server keeps to the schema. Otherwise a label counts
    that is the whole text, or the only label in it; one within a longer one does not.

    Args:
        text: What the model wrote.
        labels: Folded label -> label, as `{label.casefold(): label}`.

    Examples:
        >>> known = {"refund": "refund", "refund_late": "refund_late"}
        >>> label_in('{"answer": "refund"}', known), label_in("I think: refund_late.", known)
        ('refund', 'refund_late')
        >>> label_in("refund or refund_late", known) is None
        True
    """
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, Mapping) and isinstance(parsed.get("answer"), str):
        return labels.get(parsed["answer"].strip().casefold())
    folded = text.strip().strip("\"'`.*").casefold()
    if folded in labels:
        return labels[folded]
    longest_first = sorted(labels, key=len, reverse=True)
    either = "|".join(re.escape(label) for label in longest_first)
    named = set(re.findall(rf"(?<!\w)(?:{either})(?!\w)", folded)) if labels else set()
    return labels[named.pop()] if len(named) == 1 else None
