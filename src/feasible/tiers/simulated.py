"""A language model that is only pretended: real prices and latencies, made-up answers."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from feasible.errors import TierError, nearest
from feasible.schema import Answer, Request, TierKind
from feasible.tiers.cache import request_key
from feasible.tiers.fingerprint import version_of

__all__ = ["SimulatedLLM"]

_CODE: Final = "simulated-llm-1"


@dataclass(frozen=True, slots=True)
class _Model:
    """How one vendor's model behaves.

    `base_s` and `per_token_s`: latency = base + per_token * tokens out, in seconds, and `log_s`:
    mean and deviation of its logarithm, None where too few calls were seen; fitted on 1,276 real
    calls. Prices in dollars per million tokens: the vendors' list prices as collected in the data
    of the package genai-prices 0.2.3, read on 2026-11-22.
    """

    base_s: float
    per_token_s: float
    log_s: tuple[float, float] | None
    usd_per_million_in: float
    usd_per_million_out: float


_MODELS: Final = {
    "gpt-4o-mini": _Model(0.41, 0.0236, (-0.036, 0.553), 0.15, 0.60),
    "claude-3-haiku": _Model(0.58, 0.0053, (-0.229, 0.233), 0.25, 1.25),
    "claude-3.5-sonnet": _Model(1.03, 0.0133, (0.441, 0.345), 3.0, 15.0),
    "gpt-4": _Model(0.51, 0.0413, (0.537, 0.483), 30.0, 60.0),
    "gemini-1.5-flash": _Model(0.64, 0.0062, None, 0.075, 0.30),
}


class SimulatedLLM:
    """Waits as long and costs as much as a vendor's model would, and says that it is simulated.

    For load and failure work only: a planner leaves it out of every quality certificate. It answers
    only when it is told the truth, right in a declared share of cases; otherwise it abstains. The
    same request always gets the same answer after the same time. Prices are those of 2026-11-22
    (package genai-prices 0.2.3); latencies were fitted on 1,276 real calls.

    Args:
        model: gpt-4o-mini, claude-3-haiku, claude-3.5-sonnet, gpt-4 or gemini-1.5-flash.
        truth: Gives the right answer of a request, or None when it is not known.
        accuracy: Share of known truths that it answers. Ratio.
        labels: Answers to pick a wrong one from; without another label it abstains instead.
        latency: `linear` (base + tokens) or `lognormal` (scatters as real calls do).
        tokens_in: Tokens of every prompt.
        tokens_out: Tokens of every answer.
        seed: Other seeds give other mistakes and other latencies.

    Raises:
        ValueError: The model is not known or a number is out of range.
    """

    kind: Final = TierKind.LLM
    simulated: Final = True

    def __init__(
        self,
        *,
        model: str = "gpt-4o-mini",
        truth: Callable[[Request], Any] | None = None,
        accuracy: float = 0.9,
        labels: Sequence[str] = (),
        latency: Literal["linear", "lognormal"] = "lognormal",
        tokens_in: int = 300,
        tokens_out: int = 20,
        seed: int = 0,
    ) -> None:
        if model not in _MODELS:
            close = nearest(model, _MODELS)
            hint = f"; did you mean {close!r}?" if close else f"; known: {', '.join(_MODELS)}"
            raise ValueError(f"no figures for a model named {model!r}{hint}")
        if latency not in ("linear", "lognormal"):
            raise ValueError(f"latency is linear or lognormal; found {latency!r}")
        if latency == "lognormal" and _MODELS[model].log_s is None:
            raise ValueError(f"too few calls of {model} were seen for lognormal; use linear")
        if not 0 <= accuracy <= 1:
            raise ValueError(f"accuracy is a ratio from 0 to 1; found {accuracy}")
        if tokens_in < 0 or tokens_out < 0:
            raise ValueError(f"tokens are at least 0; found {tokens_in} in and {tokens_out} out")
        figures = _MODELS[model]
        price = tokens_in * figures.usd_per_million_in + tokens_out * figures.usd_per_million_out
        self.name = f"simulated {model}"
        self.usd_per_call: float | None = price / 1e6
        self.worst_usd_per_call: float | None = price / 1e6
        self._figures = figures
        self._truth = truth
        self._accuracy = accuracy
        self._labels = tuple(labels)
        self._latency = latency
        self._tokens_out = tokens_out
        self._settings = {
            "model": model,
            "accuracy": accuracy,
            "labels": self._labels,
            "latency": latency,
            "tokens": (tokens_in, tokens_out),
            "seed": seed,
            "answers": truth is not None,
        }

    @property
    def version(self) -> str:
        """Give a hash of the settings."""
        return version_of(_CODE, self._settings)

    def answer(self, batch: Sequence[Request]) -> list[Answer]:
        """Answer at once; `latency_ms` gives the time that each answer would have taken."""
        return [self._answer(request) for request in batch]

    async def answer_async(self, request: Request, *, timeout_s: float) -> Answer:
        """Answer after the simulated time.

        Raises:
            TierError: The simulated time is longer than `timeout_s`.
        """
        wait_s = self.latency_ms(request) / 1e3
        await asyncio.sleep(min(wait_s, timeout_s))
        if wait_s > timeout_s:
            raise TierError(
                f"tier {self.name!r} did not answer in time",
                asked=f"an answer within {timeout_s * 1e3:.0f} ms",
                found=f"{wait_s * 1e3:.0f} ms (simulated)",
            )
        return self._answer(request)

    def latency_ms(self, request: Request) -> float:
        """Give the simulated time of one request. Milliseconds."""
        if self._latency == "linear" or self._figures.log_s is None:
            seconds = self._figures.base_s + self._figures.per_token_s * self._tokens_out
        else:
            mu, sigma = self._figures.log_s
            seconds = math.exp(mu + sigma * float(self._luck(request, "time").standard_normal()))
        return seconds * 1e3

    def _answer(self, request: Request) -> Answer:
        truth = self._truth(request) if self._truth is not None else None
        if truth is None:
            return Answer(cost_usd=self.usd_per_call)
        luck = self._luck(request, "answer")
        if luck.random() < self._accuracy:
            return Answer(truth, cost_usd=self.usd_per_call)
        wrong = [label for label in self._labels if label != truth]
        if not wrong:
            return Answer(cost_usd=self.usd_per_call)
        return Answer(wrong[int(luck.integers(len(wrong)))], cost_usd=self.usd_per_call)

    def _luck(self, request: Request, purpose: str) -> np.random.Generator:
        """Give numbers that depend on the request and the seed alone, not on the order of calls."""
        text = f"{self._settings['seed']} {purpose} {request_key(request)}"
        return np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))
