from __future__ import annotations

import pytest

from feasible.rubric import review
from feasible.rubric.interview import case_named, cases, twists_of
from feasible.systems import open_feature

MINE = [case.name for case in cases()]


@pytest.mark.slow
@pytest.mark.parametrize("name", MINE)
def test_the_brief_behind_a_prompt_is_a_good_answer(name: str) -> None:
    """What a candidate is compared with earns at least 85, and has no HIGH risk."""
    found = case_named(name).found(lambda system: open_feature(system).found)
    judged = review(found, draws=50)
    assert judged.score >= 85
    assert not [finding for finding in judged.findings if finding.risk == "HIGH"]


def test_twists_follow_from_the_seed() -> None:
    """The same seed brings the same news, at minutes 18 and 35."""
    brief = case_named("search").found(lambda system: open_feature(system).found).brief
    assert twists_of(brief, seed=3) == twists_of(brief, seed=3)
    assert [twist.at_s for twist in twists_of(brief, seed=3)] == [1080.0, 2100.0]
    assert len({tuple(t.key for t in twists_of(brief, seed=s)) for s in range(9)}) > 1


def test_there_are_prompts_across_the_domains() -> None:
    """At least twelve, each of another domain or from another published system."""
    assert len(MINE) >= 12
    assert len({case.domain for case in cases()}) >= 12
