from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from feasible.errors import EngineMissing, RequestError, TierError
from feasible.schema import Request
from feasible.tiers import ChatModel, Tier

LABELS = ("refund", "card_lost")
KEY = "sk-very-secret"


class Vendor:
    """A chat server whose text decides how it behaves, and what it saw."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, object]] = []
        self.keys: list[str | None] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.hung_up = threading.Event()
        self.app = Starlette(routes=[Route("/v1/chat/completions", self.chat, methods=["POST"])])

    async def chat(self, request: HttpRequest) -> Response:
        """Answer as the text asks for."""
        body = await request.json()
        self.bodies.append(body)
        self.keys.append(request.headers.get("authorization"))
        text = body["messages"][1]["content"]
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0.01)
            return await self._respond(request, text)
        finally:
            self.in_flight -= 1

    async def _respond(self, request: HttpRequest, text: str) -> Response:
        if text == "hang":
            while not await request.is_disconnected():  # noqa: ASYNC110  nothing tells us of it
                await asyncio.sleep(0.01)
            self.hung_up.set()
        if text == "429":
            return PlainTextResponse("slow down", 429, {"retry-after": "7"})
        if text == "500":
            return PlainTextResponse(f"your key {KEY} broke me", 500)
        if text == "garbage":
            return PlainTextResponse("<html>maintenance</html>")
        said = {"wrong": "weather", "plain": "It is refund."}.get(text, f'{{"answer": "{text}"}}')
        message = {"choices": [{"message": {"role": "assistant", "content": said}}]}
        if text != "card_lost":
            message["usage"] = {"prompt_tokens": 1000, "completion_tokens": 10}  # type: ignore[assignment]
        return JSONResponse(message)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Vendor, str]]:
    """Give a chat server on this machine and its address."""
    vendor = Vendor()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(vendor.app, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield vendor, f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    server.should_exit = True
    thread.join(10)
    listener.close()


def model(url: str, **settings: object) -> ChatModel:
    """Give a tier that asks that server."""
    given: dict[str, object] = {
        "labels": LABELS,
        "usd_per_million_in": 0.5,
        "usd_per_million_out": 2.0,
        **settings,
    }
    return ChatModel(url=url, model="m-1", **given)  # type: ignore[arg-type]


def ask(*texts: str) -> list[Request]:
    """Give one request per text."""
    return [{"text": text} for text in texts]


def test_an_answer_carries_its_label_and_its_price(served: tuple[Vendor, str]) -> None:
    """1000 tokens in at $0.5 and 10 out at $2 a million are $0.00052, by hand."""
    tier: Tier = model(served[1])
    (answer,) = tier.answer(ask("refund"))
    assert (answer.value, answer.score) == ("refund", None)
    assert answer.cost_usd == pytest.approx(0.00052)


def test_tokens_that_the_server_did_not_count_cost_an_unknown_amount(
    served: tuple[Vendor, str],
) -> None:
    """Not nothing."""
    (answer,) = model(served[1]).answer(ask("card_lost"))
    assert (answer.value, answer.cost_usd) == ("card_lost", None)
    (answer,) = model(served[1], usd_per_million_out=None).answer(ask("refund"))
    assert answer.cost_usd is None


def test_a_text_answer_is_read_and_an_unknown_label_is_a_paid_abstention(
    served: tuple[Vendor, str],
) -> None:
    """A model that names none of the labels does not know."""
    plain, wrong = model(served[1]).answer(ask("plain", "wrong"))
    assert plain.value == "refund"
    assert wrong.abstained
    assert wrong.cost_usd == pytest.approx(0.00052)


def test_without_labels_the_answer_is_free_text(served: tuple[Vendor, str]) -> None:
    """And no schema is sent."""
    (answer,) = model(served[1], labels=()).answer(ask("plain"))
    assert answer.value == "It is refund."
    assert "response_format" not in served[0].bodies[-1]


def test_the_labels_stand_in_the_prompt_and_in_the_schema(served: tuple[Vendor, str]) -> None:
    """The prompt helps servers that ignore the schema."""
    model(served[1]).answer(ask("refund"))
    sent = json.dumps(served[0].bodies[-1])
    assert sent.count("card_lost") == 2
    assert served[0].bodies[-1]["max_tokens"] == 64
    model(served[1], system="Pick: {labels}").answer(ask("refund"))
    messages = served[0].bodies[-1]["messages"]
    assert messages[0]["content"] == "Pick: refund, card_lost"  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "said"),
    [("429", "(?s)HTTP 429.*7 s"), ("500", "HTTP 500"), ("garbage", "no chat completion")],
)
def test_a_failing_server_is_named_by_host_and_its_key_by_nobody(
    served: tuple[Vendor, str],
    text: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A server may repeat the key in its refusal; we do not."""
    monkeypatch.setenv("VENDOR_KEY", KEY)
    tier = model(served[1], api_key_env="VENDOR_KEY")
    with caplog.at_level(logging.DEBUG), pytest.raises(TierError, match=said) as caught:
        tier.answer(ask(text))
    assert "127.0.0.1" in str(caught.value)
    assert served[0].keys[-1] == f"Bearer {KEY}"
    assert KEY not in str(caught.value) + caplog.text + repr(tier) + repr(vars(tier))


def test_a_key_that_is_not_set_is_asked_for_by_name(
    served: tuple[Vendor, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is sent."""
    monkeypatch.delenv("VENDOR_KEY", raising=False)
    with pytest.raises(EngineMissing, match="VENDOR_KEY"):
        model(served[1], api_key_env="VENDOR_KEY").answer(ask("refund"))


def test_a_hanging_server_is_left_at_the_timeout_and_hears_of_it(
    served: tuple[Vendor, str],
) -> None:
    """The connection is closed, so that the vendor stops counting tokens."""
    vendor, url = served
    vendor.hung_up.clear()
    tier = model(url)

    async def hang() -> float:
        begun = time.monotonic()
        with pytest.raises(TierError, match=r"(?s)in time.*nothing after 0.2 s"):
            await tier.answer_async({"text": "hang"}, timeout_s=0.2)
        await tier.aclose()
        return time.monotonic() - begun

    assert asyncio.run(hang()) < 2
    assert vendor.hung_up.wait(5)


def test_a_cancelled_call_ends_at_the_server_too(served: tuple[Vendor, str]) -> None:
    """A deadline of the whole decision cancels from outside."""
    vendor, url = served
    vendor.hung_up.clear()
    tier = model(url)

    async def cancel() -> None:
        call = asyncio.create_task(tier.answer_async({"text": "hang"}, timeout_s=60))
        await asyncio.sleep(0.1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await tier.aclose()

    asyncio.run(cancel())
    assert vendor.hung_up.wait(5)


def test_a_batch_keeps_its_order_and_its_bound_even_inside_an_event_loop(
    served: tuple[Vendor, str],
) -> None:
    """Profiling may be started from a notebook, whose thread runs a loop."""
    vendor, url = served
    vendor.most_in_flight = 0

    async def from_a_loop() -> list[object]:
        answers = model(url, concurrency=3).answer(ask(*["refund", "plain", "wrong"] * 4))
        return [answer.value for answer in answers]

    assert asyncio.run(from_a_loop()) == ["refund", "refund", None] * 4
    assert vendor.most_in_flight == 3


def test_calls_of_one_loop_share_a_client_and_another_loop_gets_its_own(
    served: tuple[Vendor, str],
) -> None:
    """A connection cannot be used from another event loop."""
    tier = model(served[1])

    async def twice() -> list[object]:
        answers = [await tier.answer_async({"text": "refund"}, timeout_s=5) for _ in range(2)]
        assert len(tier._clients) == 1
        await tier.aclose()
        return [answer.value for answer in answers]

    assert asyncio.run(twice()) == asyncio.run(twice()) == ["refund", "refund"]


def test_a_server_that_is_not_there_cannot_be_reached() -> None:
    """Refused at once, and named."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TierError, match=r"127\.0\.0\.1 cannot be reached"):
        model(f"http://127.0.0.1:{port}/v1").answer(ask("refund"))


def test_a_text_that_is_too_long_is_not_sent(served: tuple[Vendor, str]) -> None:
    """So that the dearest call has a known price."""
    vendor, url = served
    before = len(vendor.bodies)
    (answer,) = model(url, max_text_bytes=4).answer(ask("größe"))
    assert (answer.value, answer.cost_usd, len(vendor.bodies)) == (None, 0.0, before)


def test_the_worst_price_is_that_of_the_longest_text_and_answer() -> None:
    """Every byte a token, which no tokenizer exceeds; unknown without prices."""
    tier = model("http://localhost/v1", max_text_bytes=1000, max_tokens=100)
    assert tier.worst_usd_per_call is not None
    assert (1000 * 0.5 + 100 * 2) / 1e6 < tier.worst_usd_per_call < (3000 * 0.5 + 100 * 2) / 1e6
    unpriced = model("http://localhost/v1", usd_per_million_in=None)
    assert (unpriced.worst_usd_per_call, unpriced.usd_per_call) == (None, None)


def test_the_version_follows_model_prompt_and_labels() -> None:
    """Not the key, nor the time limits."""
    base = model("http://localhost/v1")
    assert base.version == model("http://localhost:81/v1", timeout_s=1, api_key_env="X").version
    others = [
        model("http://elsewhere/v1"),
        model("http://localhost/v1", labels=("a",)),
        model("http://localhost/v1", system="x"),
        model("http://localhost/v1", max_tokens=1),
    ]
    assert len({tier.version for tier in [base, *others]}) == 5


def test_a_request_without_text_is_refused_before_anything_is_paid(
    served: tuple[Vendor, str],
) -> None:
    """None of the batch is sent."""
    before = len(served[0].bodies)
    with pytest.raises(RequestError, match="`text`"):
        model(served[1]).answer([{"text": "refund"}, {"body": "x"}])
    assert len(served[0].bodies) == before


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/v1", "http://u:p@host/v1", ""])
def test_an_address_that_cannot_be_used_is_refused_without_showing_a_password(url: str) -> None:
    """A password belongs into the environment."""
    with pytest.raises(ValueError, match="url") as caught:
        model(url)
    assert "p@" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong", [{"max_tokens": 0}, {"timeout_s": 0}, {"concurrency": 0}, {"usd_per_million_in": -1}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    """The error names the number."""
    with pytest.raises(ValueError, match="found"):
        model("http://localhost/v1", **wrong)
