"""A language model behind any OpenAI-compatible address: a vendor, vLLM, Ollama, or our own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import os
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Final
from weakref import WeakKeyDictionary

import httpx

from feasible.errors import EngineMissing, TierError, TierUnavailable
from feasible.schema import Answer, Request, TierKind
from feasible.tiers.chat_format import ChatReply, Usage, label_in, read_reply, request_body
from feasible.tiers.fingerprint import version_of
from feasible.tiers.text import texts_of

__all__ = ["ChatModel"]

_CODE: Final = "chat-1"
_BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
"""Statuses after which the same call may succeed."""
_NOBODY: Final = "http://127.0.0.1:9"
"""The port that discards, where machines have long had no service."""
_KEPT_OPEN: Final = 64
"""Idle connections of a service: opening one takes as long as some answers."""
# Marks that a chat template puts around two messages; 24 in ChatML, the longest we know.
_TEMPLATE_TOKENS: Final = 64
_SYSTEM: Final = 'Answer with exactly one of these labels, as JSON {"answer": LABEL}: {labels}'
_SYSTEM_FREE: Final = "Answer in one short sentence."


class ChatModel:
    """Asks a language model over HTTP and reads the label that it names.

    The labels are given in the prompt and as a JSON schema; a server that ignores the schema is
    read as text. An answer that names no label, or several, is an abstention that was paid for. So
    is, for nothing, a text longer than `max_text_bytes`: no token is shorter than a byte, so that
    the price of the dearest call is known beforehand.

    Args:
        url: Address up to and including `/v1`.
        model: Name of the model at that address.
        labels: The closed set of answers; empty for an answer in free text.
        text_field: Field of the request that holds the text.
        system: System prompt; one that lists the labels when absent. `{labels}` stands for them.
        api_key_env: Environment variable that holds the key; it is read at each call and goes
            nowhere but into the `Authorization` header.
        usd_per_million_in: Dollars per million tokens of prompt; None when unknown.
        usd_per_million_out: Dollars per million tokens of answer; None when unknown.
        max_tokens: Most tokens of an answer.
        max_text_bytes: Longest text that is sent, in bytes of UTF-8.
        timeout_s: Seconds that a call of `answer` may take.
        concurrency: Calls that `answer` keeps in flight.
        json_schema: Whether to send the schema; some servers refuse it.

    Raises:
        ValueError: A setting is out of range.
    """

    kind: Final = TierKind.LLM
    simulated: Final = False

    def __init__(
        self,
        *,
        url: str,
        model: str,
        labels: Sequence[str] = (),
        text_field: str = "text",
        system: str | None = None,
        api_key_env: str | None = None,
        usd_per_million_in: float | None = None,
        usd_per_million_out: float | None = None,
        max_tokens: int = 64,
        max_text_bytes: int = 4000,
        timeout_s: float = 30.0,
        concurrency: int = 4,
        json_schema: bool = True,
    ) -> None:
        _check_address(url)
        for name, value in (
            ("max_tokens", max_tokens),
            ("max_text_bytes", max_text_bytes),
            ("timeout_s", timeout_s),
            ("concurrency", concurrency),
        ):
            if not value > 0:
                raise ValueError(f"{name} is above 0; found {value}")
        for name, price in (
            ("usd_per_million_in", usd_per_million_in),
            ("usd_per_million_out", usd_per_million_out),
        ):
            if price is not None and not price >= 0:
                raise ValueError(f"{name} is at least 0; found {price}")
        default = _SYSTEM if labels else _SYSTEM_FREE
        self.name = model
        self.usd_per_call: float | None = (
            None  # it depends on the text; each answer carries its own
        )
        self._endpoint = httpx.URL(url.rstrip("/") + "/chat/completions")
        self._model = model
        self._labels = {label.casefold(): label for label in labels}
        self._text_field = text_field
        self._system = (system or default).replace("{labels}", ", ".join(labels))
        self._api_key_env = api_key_env
        self._prices = (usd_per_million_in, usd_per_million_out)
        self._max_tokens = max_tokens
        self._max_text_bytes = max_text_bytes
        self._timeout_s = timeout_s
        self._concurrency = concurrency
        self._json_schema = json_schema
        _tls()  # now, and not while the first requests wait
        # A connection belongs to the event loop that opened it.
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = (
            WeakKeyDictionary()
        )

    def __repr__(self) -> str:
        return f"ChatModel({self._model!r} at {self._endpoint.host})"

    @property
    def version(self) -> str:
        """Give a hash of what decides the answers; the address counts by its host alone."""
        return version_of(
            _CODE,
            {
                "host": self._endpoint.host,
                "model": self._model,
                "system": self._system,
                "labels": sorted(self._labels.values()),
                "text_field": self._text_field,
                "limits": (self._max_tokens, self._max_text_bytes),
                "json_schema": self._json_schema,
            },
        )

    @property
    def worst_usd_per_call(self) -> float | None:
        """Give the price of the longest text with the longest answer; None without prices."""
        empty = str(self._body(""))
        tokens_in = len(empty.encode()) + self._max_text_bytes + _TEMPLATE_TOKENS
        return self._price(Usage(tokens_in, self._max_tokens))

    def answer(self, batch: Sequence[Request]) -> list[Answer]:
        """Answer a batch, a few calls at a time, in an event loop of its own.

        Raises:
            TierError: A call failed or took longer than `timeout_s`.
            RequestError: A request has no text.
        """
        texts_of(batch, self._text_field)  # before anything is paid for
        # A thread of its own, since the caller's may already run an event loop.
        with ThreadPoolExecutor(max_workers=1) as pool:
            return pool.submit(asyncio.run, self._all(batch)).result()

    async def answer_async(self, request: Request, *, timeout_s: float) -> Answer:
        """Answer one request; when it is cancelled, the call to the server ends too.

        Raises:
            TierUnavailable: The server could not be reached, or is too busy now.
            TierError: The call failed or took longer than `timeout_s`.
            RequestError: The request has no text.
        """
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = _new_client(max(self._concurrency, _KEPT_OPEN))
        return await self._ask(client, request, timeout_s)

    def warm_up(self) -> None:
        """Load what the first call needs, by calling an address where nobody is, for nothing."""

        async def call_nobody() -> None:
            async with _new_client(1) as client:
                with contextlib.suppress(httpx.HTTPError, TimeoutError):
                    async with asyncio.timeout(1.0):
                        await client.get(_NOBODY)

        with ThreadPoolExecutor(max_workers=1) as pool:
            pool.submit(asyncio.run, call_nobody()).result()

    async def aclose(self) -> None:
        """Close the connections that this event loop opened."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    async def _all(self, batch: Sequence[Request]) -> list[Answer]:
        free = asyncio.Semaphore(self._concurrency)
        async with _new_client(self._concurrency) as client:

            async def one(request: Request) -> Answer:
                async with free:
                    return await self._ask(client, request, self._timeout_s)

            return list(await asyncio.gather(*(one(request) for request in batch)))

    async def _ask(self, client: httpx.AsyncClient, request: Request, timeout_s: float) -> Answer:
        (text,) = texts_of([request], self._text_field)
        if len(text.encode("utf-8", "replace")) > self._max_text_bytes:
            return Answer(cost_usd=0.0)
        key = self._key()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            async with asyncio.timeout(timeout_s):
                response = await client.post(self._endpoint, json=self._body(text), headers=headers)
        except TimeoutError as error:
            raise self._fault("did not answer in time", f"nothing after {timeout_s:g} s") from error
        except httpx.HTTPError as error:
            found = _hidden(f"{type(error).__name__}: {error}", key)
            is_unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            raise self._busy("cannot be reached", found, was_sent=not is_unsent) from error
        return self._read(response, key)

    def _read(self, response: httpx.Response, key: str | None) -> Answer:
        """Turn what came back into an answer with its price."""
        if response.status_code != httpx.codes.OK:
            found = _hidden(f"HTTP {response.status_code}: {response.text[:200]}", key)
            if response.status_code not in _BUSY:
                raise self._fault("refused", found)
            wait_s = _retry_after_s(response.headers.get("retry-after"))
            raise self._busy("refused", found, retry_after_s=wait_s)
        try:
            reply = read_reply(response.content)
        except ValueError as error:
            raise self._fault("gave no chat completion", _hidden(str(error), key)) from error
        return Answer(self._value(reply), cost_usd=self._price(reply.usage))

    def _value(self, reply: ChatReply) -> str | None:
        if self._labels:
            return label_in(reply.text, self._labels)
        return reply.text.strip() or None

    def _price(self, usage: Usage | None) -> float | None:
        """Give dollars; None when the tokens or a price are not known."""
        price_in, price_out = self._prices
        if usage is None or price_in is None or price_out is None:
            return None
        return (usage.tokens_in * price_in + usage.tokens_out * price_out) / 1e6

    def _body(self, text: str) -> dict[str, object]:
        return request_body(
            text,
            model=self._model,
            system=self._system,
            labels=tuple(self._labels.values()),
            max_tokens=self._max_tokens,
            json_schema=self._json_schema,
        )

    def _key(self) -> str | None:
        """Read the key now, so that it is kept nowhere."""
        if self._api_key_env is None:
            return None
        key = os.environ.get(self._api_key_env)
        if not key:
            raise EngineMissing(
                f"tier {self.name!r} has no key for {self._endpoint.host}",
                asked=f"the environment variable {self._api_key_env}",
                found="it is not set" if key is None else "it is empty",
                attempt=f"export {self._api_key_env}=...",
            )
        return key

    def _fault(self, what: str, found: str) -> TierError:
        return TierError(
            f"tier {self.name!r}: the language model at {self._endpoint.host} {what}",
            asked=f"a chat completion of {self._model}",
            found=found,
        )

    def _busy(
        self, what: str, found: str, *, retry_after_s: float | None = None, was_sent: bool = True
    ) -> TierUnavailable:
        """Give a fault after which the same call may succeed."""
        return TierUnavailable(
            f"tier {self.name!r}: the language model at {self._endpoint.host} {what}",
            asked=f"a chat completion of {self._model}",
            found=found,
            attempt=None if retry_after_s is None else f"ask again after {retry_after_s:g} s",
            retry_after_s=retry_after_s,
            was_sent=was_sent,
        )


def _check_address(url: str) -> None:
    parsed = httpx.URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError("url is an address such as http://127.0.0.1:8000/v1")
    if parsed.userinfo:
        raise ValueError("url carries a password; name an environment variable in api_key_env")


@functools.cache
def _tls() -> ssl.SSLContext:
    """Read the machine's certificates once: that takes longer than many a call."""
    return httpx.create_ssl_context()


def _new_client(connections: int) -> httpx.AsyncClient:
    # No time limit of its own: each call brings what is left of its deadline.
    limits = httpx.Limits(max_keepalive_connections=connections)
    return httpx.AsyncClient(timeout=None, limits=limits, verify=_tls())  # noqa: S113  as above


def _retry_after_s(value: str | None) -> float | None:
    """Read seconds or a date; None when there is neither."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _hidden(text: str, key: str | None) -> str:
    """Give a text without the key, which a server may repeat in its refusal."""
    return text.replace(key, "(key)") if key else text
