from __future__ import annotations

from feasible.report import design_document, story
from feasible.rubric import review
from feasible.systems import open_feature


def test_the_walk_fits_a_page_and_puts_the_risk_in_the_middle() -> None:
    """Seven parts in eight minutes; the riskiest component is the fourth."""
    found = open_feature("fraud").found
    text = story(found.brief, review(found, draws=50))
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles[3].endswith("Where the risk is")
    assert len(titles) == 7
    assert len(text.splitlines()) < 70


def test_the_document_ends_with_a_model_card_that_claims_no_measurement() -> None:
    """What nobody measured is not written down as if somebody had."""
    found = open_feature("support").found
    text = design_document(found.brief, review(found, draws=50))
    card = text.split("## Model card")[1]
    assert "Not shown by this card: any measured quality" in card
    assert "accuracy_in_scope 0.9" in card
