"""Which words give a design away, and which only look like it."""

from __future__ import annotations

import pytest

from feasible.rubric.lexicon import (
    asks_for_data,
    asks_to_retry,
    claims_a_guarantee,
    has_unit,
    is_model_metric,
    is_vague,
    names_a_model,
    says_something,
)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Let's use BERT", "BERT"),
        ("a distilled DistilBERT model", "DistilBERT"),
        ("We'll use CLIP for multimodal detection", "CLIP"),
        ("answer with gpt-4o-mini", "gpt-4o-mini"),
        ("fine-tuned on our tickets", "fine-tuned"),
        ("a data pipeline from Kafka", "data pipeline"),
        ("an XGBoost scorer", "XGBoost"),
        ("ask an LLM", "LLM"),
        ("bert_f1", "bert"),
        ("train a large model on clicks", "train a large model"),
        ("use machine learning to rank", "machine learning"),
        ("Cohere ranks them", "Cohere"),
        ("answer without a person, with GPT-4", "GPT-4"),
    ],
)
def test_models_and_pipelines_are_recognised(text: str, named: str) -> None:
    """Families, vendors, techniques and plumbing, in any case."""
    assert names_a_model(text) == named


@pytest.mark.parametrize(
    "text",
    [
        "No LLM: rules only",
        "answer without an LLM",
        "which clip comes next",
        "Answer merchants without a person",
        "a spark of joy",
        "classify payments",
        "do not use an LLM",
        "never call another model: no need for a language model",
        "ships at their berths",
        "keep Bertrand and Roberta informed",
        "faults of power transformers",
        "sentences that cohere",
        "llm_judge_score",
        None,
    ],
)
def test_plain_words_and_models_that_are_ruled_out_are_not(text: str | None) -> None:
    """A design that does without a model names none."""
    assert names_a_model(text) is None


@pytest.mark.parametrize("name", ["accuracy", "roc_auc", "recall", "f1", "ndcg_at_10", "field_f1"])
def test_a_metric_of_a_model_is_recognised(name: str) -> None:
    """It can rise while the business stands still."""
    assert is_model_metric(name)


@pytest.mark.parametrize("name", ["resolution_minutes", "fraud_loss_bps", "watch_minutes", None])
def test_a_business_metric_is_not_a_metric_of_a_model(name: str | None) -> None:
    """Minutes, money and shares of people are what a business counts."""
    assert not is_model_metric(name)


@pytest.mark.parametrize(
    "text", ["We improve accuracy with more data", "label 500 more questions", "collect examples"]
)
def test_a_wish_for_labels_is_recognised(text: str) -> None:
    """However it is put."""
    assert asks_for_data(text)


@pytest.mark.parametrize("text", ["a second replica", "cut tickets to 256 tokens", None])
def test_other_fixes_ask_for_no_labels(text: str | None) -> None:
    """Capacity, prompts and time are not labels."""
    assert not asks_for_data(text)


def test_a_cadence_is_a_number_and_not_an_adverb() -> None:
    """`regularly` triggers nothing."""
    assert is_vague("retrain regularly")
    assert not is_vague("accuracy below its floor")


def test_a_guarantee_in_words_is_recognised() -> None:
    """Only a bound with its n is one."""
    assert claims_a_guarantee("guaranteed answers")
    assert not claims_a_guarantee("an answer in 300 ms")


def test_a_unit_stands_in_the_name_of_a_metric() -> None:
    """`hours` and `share` are units; `happiness` is not."""
    assert has_unit("resolution_hours")
    assert has_unit("hands_free_share")
    assert not has_unit("happiness")
    assert not has_unit(None)


@pytest.mark.parametrize(
    "text", ["TBD", "n/a", " ", "-", "none", "None yet", "to be decided", None]
)
def test_a_placeholder_says_nothing(text: str | None) -> None:
    """A word that stands where an answer belongs is no answer."""
    assert not says_something(text)


@pytest.mark.parametrize("text", ["no one is charged twice", "rules", "the unknown are held"])
def test_a_sentence_that_starts_like_a_placeholder_says_something(text: str) -> None:
    """Only the whole of a text makes it a placeholder."""
    assert says_something(text)


@pytest.mark.parametrize(
    "text", ["gather a larger training set", "crowdsource it", "annotate 500 calls and more data"]
)
def test_other_words_for_more_data_count(text: str) -> None:
    """Whatever it is called, somebody labels it."""
    assert asks_for_data(text)


@pytest.mark.parametrize("text", ["100% accuracy", "zero false positives", "it never misses"])
def test_other_words_for_a_guarantee_count(text: str) -> None:
    """More than any number of labels can show."""
    assert claims_a_guarantee(text)


def test_a_guarantee_that_is_not_given_is_none() -> None:
    """Honesty is not punished."""
    assert not claims_a_guarantee("no guarantee in the first month")


@pytest.mark.parametrize(
    ("text", "retries"),
    [("try it again", True), ("retried twice", True), ("never retried", False), ("retrain", False)],
)
def test_words_for_a_retry_are_recognised(text: str, *, retries: bool) -> None:
    """And those that rule it out."""
    assert asks_to_retry(text) == retries
