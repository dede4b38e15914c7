from __future__ import annotations

import pytest

from feasible.schema import Answer, Request, TierKind
from feasible.tiers import RulesTier, pattern


def test_the_first_rule_that_answers_wins() -> None:
    """Order is the author's."""
    tier = RulesTier(
        pattern("lost", r"\blost\b"),
        pattern("card", r"\bcard\b", r"\bpin\b"),
    )
    batch: list[Request] = [
        {"text": "my LOST card"},
        {"text": "a card"},
        {"text": "the pin"},
        {"text": "pinned"},
    ]
    assert [answer.value for answer in tier.answer(batch)] == ["lost", "card", "card", None]


def test_a_rule_may_give_an_answer_with_a_score() -> None:
    """An abstaining Answer lets the next rule speak."""
    tier = RulesTier(lambda _: Answer(), lambda _: Answer("x", score=0.5))
    assert tier.answer([{}]) == [Answer("x", score=0.5)]


def test_false_and_zero_are_answers() -> None:
    """Only None abstains."""
    assert RulesTier(lambda _: False).answer([{}]) == [Answer(False)]
    assert RulesTier(lambda _: 0).answer([{}]) == [Answer(0)]


def test_a_pattern_leaves_requests_without_text_alone() -> None:
    """A rule that cannot tell abstains."""
    tier = RulesTier(pattern("lost", "lost"))
    assert all(answer.abstained for answer in tier.answer([{}, {"text": 7}, {"body": "lost"}]))


def test_a_pattern_can_read_another_field() -> None:
    """The field is named once."""
    assert RulesTier(pattern("lost", "lost", text_field="body")).answer([{"body": "lost"}])[0].value


def test_rules_are_free_but_a_function_in_the_place_of_a_model_has_no_known_price() -> None:
    """Unknown is None, never 0."""
    assert RulesTier(lambda _: None).usd_per_call == 0
    assert RulesTier(lambda _: None, kind=TierKind.MODEL).usd_per_call is None


def test_the_version_follows_the_patterns_and_their_order() -> None:
    """A changed expression expires a certificate."""
    one, two = pattern("a", "x"), pattern("a", "y")
    assert RulesTier(one).version == RulesTier(pattern("a", "x")).version
    assert len({tier.version for tier in (RulesTier(one), RulesTier(two))}) == 2
    assert RulesTier(one, two).version != RulesTier(two, one).version


def test_no_rule_no_function_and_no_expression_are_refused() -> None:
    """Mistakes show when the tier is built, not when it is asked."""
    with pytest.raises(ValueError, match="at least one rule"):
        RulesTier()
    with pytest.raises(ValueError, match="found a str"):
        RulesTier("lost")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no expression"):
        pattern("lost")
    with pytest.raises(ValueError, match="not valid"):
        pattern("lost", "(")
