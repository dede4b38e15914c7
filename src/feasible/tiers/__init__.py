"""What can answer: caches, rules, small models, language models and people, under one protocol.

A tier answers a batch of requests or abstains, and knows what a call of it costs. This room makes
tiers and checks what comes back from them. It never decides whose answer is given, never calibrates
a score and never fetches anything by itself: weights are handed in.

Importing the room loads no engine; a model's own file is read when its name is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from feasible.tiers.base import (
    AsyncTier,
    CallPrice,
    FittableTier,
    RememberingTier,
    Tier,
    Weights,
    call_price,
)
from feasible.tiers.bound import BoundTier, as_tier
from feasible.tiers.cache import ExactCache, request_key
from feasible.tiers.checks import as_json, check_answers, checked_answers
from feasible.tiers.fingerprint import code_version, version_of
from feasible.tiers.person import PersonQueue
from feasible.tiers.process import HEAD, Question, Recipe, Reply, TierProcess, frame, length_of
from feasible.tiers.rules import Rule, RulesTier, pattern

if TYPE_CHECKING:
    from feasible.tiers.llm import ChatModel
    from feasible.tiers.local_llm import LocalSmolLM2
    from feasible.tiers.minilm import MiniLMHead
    from feasible.tiers.simulated import SimulatedLLM
    from feasible.tiers.tfidf import TfidfModel

__all__ = [
    "HEAD",
    "AsyncTier",
    "BoundTier",
    "CallPrice",
    "ChatModel",
    "ExactCache",
    "FittableTier",
    "LocalSmolLM2",
    "MiniLMHead",
    "PersonQueue",
    "Question",
    "Recipe",
    "RememberingTier",
    "Reply",
    "Rule",
    "RulesTier",
    "SimulatedLLM",
    "TfidfModel",
    "Tier",
    "TierProcess",
    "Weights",
    "as_json",
    "as_tier",
    "call_price",
    "check_answers",
    "checked_answers",
    "code_version",
    "frame",
    "length_of",
    "pattern",
    "request_key",
    "version_of",
]

# Start-up time: these files bring scipy, onnxruntime, httpx or a language model's runtime along.
_LAZY: Final = {
    "ChatModel": "feasible.tiers.llm",
    "LocalSmolLM2": "feasible.tiers.local_llm",
    "MiniLMHead": "feasible.tiers.minilm",
    "SimulatedLLM": "feasible.tiers.simulated",
    "TfidfModel": "feasible.tiers.tfidf",
}


def __getattr__(name: str) -> Any:
    """Load a model's file when its name is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    """List what the door offers."""
    return sorted(__all__)
