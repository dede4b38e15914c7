"""A small language model on this machine: SmolLM2-135M-Instruct, behind a server in the process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Protocol, Self

from feasible.errors import EngineMissing, ModelFileError
from feasible.schema import Answer, Request, TierKind
from feasible.tiers.base import Weights
from feasible.tiers.fingerprint import version_of
from feasible.tiers.llm import ChatModel

__all__ = ["LocalSmolLM2"]

_CODE: Final = "smollm2-135m-q4_1-1"
_MODEL: Final = "SmolLM2-135M-Instruct"


class _Server(Protocol):
    """The part of xllamacpp's server that is used; it stops when nobody holds it."""

    listening_address: str


class LocalSmolLM2:
    """Runs a real language model here, and asks it over HTTP as any other.

    It is slow and weak, and is shown as such: about 45 tokens a second on one core, 0.2 s to the
    first token of a short prompt. It proves the path with real weights; a team points `ChatModel`
    at a better model. It needs the extra: `pip install "feasible[llm]"`.

    The server starts at the first answer, or with `with`, listens on this machine alone and stops
    with `close`.

    Args:
        labels: The closed set of answers; empty for an answer in free text.
        text_field: Field of the request that holds the text.
        system: System prompt; one that lists the labels when absent.
        threads: Threads that compute.
        context: Tokens of prompt and answer together.
        max_tokens: Most tokens of an answer.
        timeout_s: Seconds that a call of `answer` may take.
        weights: Gives the folder of the prepared weights, for example `feasible.registry.weights`.
    """

    kind: Final = TierKind.LLM
    simulated: Final = False

    def __init__(
        self,
        *,
        labels: Sequence[str] = (),
        text_field: str = "text",
        system: str | None = None,
        threads: int = 2,
        context: int = 2048,
        max_tokens: int = 64,
        timeout_s: float = 120.0,
        weights: Weights | None = None,
    ) -> None:
        self.name = "smollm2"
        self.weights = weights
        # It runs in our own process: no bill per call, the machine's hour is the serving layer's.
        self.usd_per_call: float | None = 0.0
        self.worst_usd_per_call: float | None = 0.0
        self._labels = tuple(labels)
        self._text_field = text_field
        self._system = system
        self._threads = threads
        self._context = context
        self._max_tokens = max_tokens
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._chat: ChatModel | None = None

    def __enter__(self) -> Self:
        self._started()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def version(self) -> str:
        """Give a hash of the weights' name and of what decides the answers."""
        return version_of(
            _CODE,
            {
                "labels": sorted(self._labels),
                "text_field": self._text_field,
                "system": self._system,
                "limits": (self._context, self._max_tokens),
            },
        )

    def answer(self, batch: Sequence[Request]) -> list[Answer]:
        """Answer a batch, one call at a time.

        Raises:
            EngineMissing: The extra or the weights are not there.
            TierError: A call failed or took longer than `timeout_s`.
        """
        return self._started().answer(batch)

    async def answer_async(self, request: Request, *, timeout_s: float) -> Answer:
        """Answer one request.

        The first one starts the server, half a second that blocks the event loop: start it with
        `with` before serving.

        Raises:
            EngineMissing: The extra or the weights are not there.
            TierError: The call failed or took longer than `timeout_s`.
        """
        return await self._started().answer_async(request, timeout_s=timeout_s)

    async def aclose(self) -> None:
        """Close the connections that this event loop opened; the server goes on."""
        if self._chat is not None:
            await self._chat.aclose()

    def close(self) -> None:
        """Stop the server and give its memory back."""
        with self._lock:
            self._chat = None
            self._server = None

    def _started(self) -> ChatModel:
        with self._lock:
            if self._chat is None:
                self._server = self._start()
                self._chat = ChatModel(
                    url=f"{self._server.listening_address}/v1",
                    model=_MODEL,
                    labels=self._labels,
                    text_field=self._text_field,
                    system=self._system,
                    usd_per_million_in=0.0,
                    usd_per_million_out=0.0,
                    max_tokens=self._max_tokens,
                    timeout_s=self._timeout_s,
                    concurrency=1,
                )
            return self._chat

    def _start(self) -> _Server:
        try:
            # Imported here because the extra may be absent, which is no reason not to import us.
            import xllamacpp  # noqa: PLC0415
        except ImportError as error:
            raise EngineMissing(
                f"tier {self.name!r} runs a language model on this machine, which needs an extra",
                asked="the package xllamacpp",
                found=str(error),
                attempt='pip install "feasible[llm]"',
            ) from error
        if self.weights is None:
            raise EngineMissing(
                "nobody said where the weights of SmolLM2 are",
                asked="a function from a name to a folder",
                attempt="LocalSmolLM2(weights=feasible.registry.weights)",
            )
        file = self.weights("smollm2") / "model.gguf"
        settings = xllamacpp.CommonParams()
        settings.model.path = str(file)
        settings.n_ctx = self._context
        settings.n_parallel = 1
        settings.cpuparams.n_threads = self._threads
        settings.cpuparams_batch.n_threads = self._threads
        settings.hostnames = ["127.0.0.1"]
        settings.port = 0  # any free one
        settings.verbosity = 0
        try:
            server: _Server = xllamacpp.Server(settings)
        except (RuntimeError, ValueError) as error:
            raise ModelFileError(
                f"the weights in {file} cannot be loaded",
                found=str(error),
                attempt="delete the folder; it will be fetched again",
            ) from error
        return server
