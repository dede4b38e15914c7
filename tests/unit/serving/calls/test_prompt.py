from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from feasible.clock import SystemClock
from feasible.schema import Answer, Request, TierKind, TierSpec
from feasible.serving.breaker import Breaker
from feasible.serving.calls import BatchedCalls, GuardedCalls, PromptCalls, calls_of
from feasible.tiers import Rule, RulesTier, as_tier, pattern


def calls_with(*rules: Rule, **declared: Any) -> GuardedCalls:
    """Give how a tier of these rules is called."""
    spec = TierSpec(name="rules", kind=TierKind.RULES, **declared)
    tier = as_tier(RulesTier(*rules), spec)
    calls = calls_of(tier, labels=None, breaker=Breaker(SystemClock()), spec=spec)
    assert isinstance(calls, GuardedCalls)
    return calls


def where(monkeypatch: pytest.MonkeyPatch, text: str) -> tuple[Answer, str]:
    """Give the answer to a text, and the thread on which it was found."""
    seen: list[str] = []
    real = RulesTier.answer

    def noting(tier: RulesTier, batch: list[Request]) -> list[Answer]:
        seen.append(threading.current_thread().name)
        return real(tier, batch)

    monkeypatch.setattr(RulesTier, "answer", noting)
    calls = calls_with(pattern("lost", r"\b(lost|stolen)\b"))
    answer = asyncio.run(calls.ask({"text": text}, within_s=5))
    calls.close()
    return answer, seen[0]


def test_words_in_a_short_text_are_looked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a change of threads."""
    answer, thread = where(monkeypatch, "my card is LOST")

    assert answer.value == "lost"
    assert thread == "MainThread"


def test_a_long_text_is_searched_on_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nobody else waits for it."""
    answer, thread = where(monkeypatch, "a " * 3_000 + "lost")

    assert answer.value == "lost"
    assert thread == "feasible-tier-rules"


@pytest.mark.parametrize(
    "rule", [pattern("a", r"card.*lost"), pattern("a", r"x{0,40}y"), lambda _request: None]
)
def test_what_may_take_longer_has_a_thread(rule: Rule) -> None:
    """Parts that are found over and over, and functions, which may do anything."""
    assert isinstance(calls_with(rule).base, BatchedCalls)
    assert isinstance(calls_with(pattern("a", "plain"), rule).base, BatchedCalls)


def test_a_declared_concurrency_is_kept() -> None:
    """By the thread that counts; without one, words are looked for at once."""
    assert isinstance(calls_with(pattern("a", "plain"), concurrency=1).base, BatchedCalls)
    assert isinstance(calls_with(pattern("a", "plain")).base, PromptCalls)
