"""`POST /v1/chat/completions`: a text feature for clients that speak OpenAI's chat format."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from feasible.schema import PathStep, Plan
from feasible.serving.bodies import MAX_DECIDE_BYTES, MAX_TEXTS_BYTES, LargeBodies, body
from feasible.serving.messages import DecideRequest, Problem, ShortText
from feasible.serving.problems import (
    BAD_BODY,
    BAD_REQUEST,
    FORBIDDEN,
    NOT_FOUND,
    OUR_FAULT,
    TOO_LARGE,
    TOO_MANY,
    UNAUTHORIZED,
    Refused,
    bad_body,
)
from feasible.serving.replies import shortened
from feasible.serving.runtime import Decided

__all__ = [
    "ChatCompletion",
    "ChatError",
    "ChatFront",
    "ChatModel",
    "ChatModels",
    "ChatRequest",
    "chat_error",
    "speaks_chat",
]

_EXAMPLE: Final = '{"model": "FEATURE", "messages": [{"role": "user", "content": "..."}]}'
_JSON: Final = "application/json"
_EVENTS: Final = "text/event-stream"
_CODES: Final[dict[int, tuple[str, str | None]]] = {
    UNAUTHORIZED: ("invalid_request_error", "invalid_api_key"),
    FORBIDDEN: ("invalid_request_error", "insufficient_permissions"),
    NOT_FOUND: ("invalid_request_error", "not_found"),
    TOO_MANY: ("requests", "rate_limit_exceeded"),
}


class ChatPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a message."""

    type: Literal["text"]
    text: str


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message; the last one of a user is what the feature is asked."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | tuple[ChatPart, ...] | None = None


class ChatOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `/v1/decide` takes beside the text."""

    idempotency_key: ShortText | None = None
    deadline_ms: Annotated[float, msgspec.Meta(gt=0)] | None = None
    slices: Annotated[tuple[ShortText, ...], msgspec.Meta(max_length=50)] = ()


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A chat as OpenAI's clients send it; whatever else they send is not looked at."""

    model: str
    """Name of the feature, or id of its plan."""
    messages: Annotated[tuple[ChatMessage, ...], msgspec.Meta(min_length=1, max_length=1000)]
    stream: bool | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=1)] | None = None
    """There is one answer."""
    feasible: ChatOptions = ChatOptions()


class ChatFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The decision behind a chat's answer."""

    decision_id: str
    probability: float | None
    tier: str
    path: tuple[PathStep, ...]
    cost_usd: float | None
    latency_ms: float
    plan: str
    within: dict[str, bool | None]
    handed_off: bool
    fell_back: str | None


class ChatAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The message that answers."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    """None when a person answers later, or nobody could."""
    refusal: None = None


class ChatChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The one answer."""

    index: int = 0
    message: ChatAnswer
    logprobs: None = None
    finish_reason: Literal["stop"] = "stop"


class ChatCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """An answer in OpenAI's format; tokens are not counted, so that there is no `usage`."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    system_fingerprint: str
    """Id of the plan."""
    choices: tuple[ChatChoice, ...]
    feasible: ChatFacts
    """What the format has no place for."""


class ChatModel(msgspec.Struct, frozen=True, kw_only=True):
    """The feature, or its plan, as a model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["feasible"] = "feasible"


class ChatModels(msgspec.Struct, frozen=True, kw_only=True):
    """What a chat may name as its model."""

    object: Literal["list"] = "list"
    data: tuple[ChatModel, ...]


class ChatFault(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, in one text."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ChatError(msgspec.Struct, frozen=True, kw_only=True):
    """An error in OpenAI's format."""

    error: ChatFault


_DECODER: Final = msgspec.json.Decoder(ChatRequest)


class ChatFront:
    """Answers chats by decisions.

    Args:
        plan: Gives the plan that is served now.
        answer: Decides a request that arrived at an instant (monotonic seconds) with these headers.
    """

    def __init__(
        self,
        plan: Callable[[], Plan],
        answer: Callable[[DecideRequest, float, Mapping[bytes, bytes]], Awaitable[Decided]],
    ) -> None:
        self._plan = plan
        self._answer = answer
        self._large = LargeBodies()

    async def complete(self, request: Request, *, arrived_s: float) -> Response:
        """Answer a chat: whole, or as server-sent events.

        Raises:
            FeasibleError: There is no answer.
        """
        headers = dict(request.scope["headers"])
        with self._large.one():
            content = await body(headers, request.receive, MAX_TEXTS_BYTES)
            try:
                chat = _DECODER.decode(content)
            except BAD_BODY as error:
                raise bad_body(error, asked=_EXAMPLE) from error
        self._check_model(chat.model)
        asked = DecideRequest(
            request={"text": _text_of(chat)},
            idempotency_key=chat.feasible.idempotency_key,
            deadline_ms=chat.feasible.deadline_ms,
            slices=chat.feasible.slices,
        )
        asked = shortened(asked, headers.get(b"x-deadline-ms"))
        decided = await self._answer(asked, arrived_s, headers)
        whole = _completion(chat.model, decided)
        if chat.stream:
            return Response(_events(whole), media_type=_EVENTS)
        return Response(msgspec.json.encode(whole), media_type=_JSON)

    async def models(self, _request: Request) -> Response:
        """List the feature and its plan."""
        return Response(msgspec.json.encode(ChatModels(data=self._models())), media_type=_JSON)

    async def model(self, request: Request) -> Response:
        """Give one of them.

        Raises:
            Refused: It is neither.
        """
        name = request.path_params["model"]
        self._check_model(name)
        found = next(model for model in self._models() if model.id == name)
        return Response(msgspec.json.encode(found), media_type=_JSON)

    def _models(self) -> tuple[ChatModel, ...]:
        plan = self._plan()
        created = int(plan.made_at.timestamp())
        return tuple(ChatModel(id=name, created=created) for name in (plan.feature, plan.id))

    def _check_model(self, name: str) -> None:
        known = [model.id for model in self._models()]
        if name not in known:
            raise Refused(
                f"there is no model {name[:100]!r}",
                status=NOT_FOUND,
                found=f"models: {', '.join(known)}",
                attempt=f'"model": "{known[0]}"',
            )


def speaks_chat(path: str) -> bool:
    """Claim that an address answers in OpenAI's format, its errors too."""
    return path.startswith(("/v1/chat/", "/v1/models"))


def chat_error(problem: Problem) -> ChatError:
    """Say a problem in OpenAI's format."""
    kind = "server_error" if problem.status >= OUR_FAULT else "invalid_request_error"
    kind, code = _CODES.get(problem.status, (kind, None))
    parts = [problem.title]
    parts += [f"found: {problem.found}"] if problem.found else []
    parts += [f"try: {problem.attempt}"] if problem.attempt else []
    return ChatError(error=ChatFault(message="; ".join(parts), type=kind, code=code))


def _text_of(chat: ChatRequest) -> str:
    """Give what a chat asks: the last message of its user."""
    last = next((one for one in reversed(chat.messages) if one.role == "user"), None)
    if last is None or last.content is None:
        raise Refused(
            "the chat asks nothing", status=BAD_REQUEST, asked=_EXAMPLE, found="no text of a user"
        )
    content = last.content
    text = content if isinstance(content, str) else "\n".join(part.text for part in content)
    if len(text.encode("utf-8", "replace")) > MAX_DECIDE_BYTES:
        raise Refused(
            "the last message is too large",
            status=TOO_LARGE,
            asked=f"at most {MAX_DECIDE_BYTES:,} bytes",
            found=f"{len(text):,} characters",
            attempt="send less text",
        )
    return text


def _completion(model: str, decided: Decided) -> ChatCompletion:
    decision = decided.decision
    cost, answer = decision.cost_nusd, decision.answer
    return ChatCompletion(
        id=f"chatcmpl-{decision.decision_id}",
        created=int(decision.at.timestamp()),
        model=model,
        system_fingerprint=decision.plan,
        choices=(ChatChoice(message=ChatAnswer(content=_as_text(answer))),),
        feasible=ChatFacts(
            decision_id=decision.decision_id,
            probability=decision.probability,
            tier=decision.tier,
            path=decision.path,
            cost_usd=None if cost is None else cost / 1e9,
            latency_ms=decided.latency_ms,
            plan=decision.plan,
            within=decided.within,
            handed_off=decision.handed_off,
            fell_back=decision.fell_back,
        ),
    )


def _as_text(answer: Any) -> str | None:
    if answer is None or isinstance(answer, str):
        return answer
    return msgspec.json.encode(answer).decode()


def _events(whole: ChatCompletion) -> bytes:
    """Say an answer as server-sent events; it is there at once, since it left when durable."""
    head = {
        "id": whole.id,
        "object": "chat.completion.chunk",
        "created": whole.created,
        "model": whole.model,
        "system_fingerprint": whole.system_fingerprint,
    }
    content = whole.choices[0].message.content
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": ""}, None)]
    if content is not None:
        deltas.append(({"content": content}, None))
    deltas.append(({}, "stop"))
    chunks: list[dict[str, Any]] = [
        {
            **head,
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}],
        }
        for delta, reason in deltas
    ]
    chunks[-1]["feasible"] = whole.feasible
    lines = [b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks]
    return b"".join([*lines, b"data: [DONE]\n\n"])
