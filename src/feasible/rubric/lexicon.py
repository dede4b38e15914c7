"""Words that give a design away: model names, model metrics, "more data", big promises."""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "asks_for_data",
    "claims_a_guarantee",
    "has_unit",
    "is_model_metric",
    "is_vague",
    "names_a_model",
]

# Families, vendors and techniques; and pipelines, which are the same flaw as a first thought.
_MODELS: Final = re.compile(
    r"\b(?:"
    r"gpt(?:-?\d[-\w.]*)?|chatgpt|openai|anthropic|claude|gemini|llama|mi[sx]tral|qwen|deepseek|cohere|"
    r"llms?|(?:large )?language models?|foundation models?|transformers?|(?:distil|ro)?bert\w*|"
    r"minilm|vision transformers?|resnet|word2vec|"
    r"xgboost|lightgbm|catboost|random forests?|gradient[- ]boost\w*|logistic regression|"
    r"(?:graph )?neural net(?:work)?s?|gnns?|lstms?|deep learning|federated learning|"
    r"embedding models?|fine-?tun\w+|retrieval[- ]augmented\w*|few-shot|"
    r"kafka|airflow|feature stores?|data lakes?|(?:data|etl|ml|training) pipelines?"
    r")\b"
    # These are words of their own in small letters: a clip, a rag, a spark.
    r"|(?-i:\b(?:T5|CLIP|ViTs?|Whisper|LoRA|RAG|Spark)\b)",
    re.IGNORECASE,
)
_NEGATED: Final = re.compile(
    r"\b(?:no|not|without|instead of|never)\s+(?:an?\s+|any\s+)?$", re.IGNORECASE
)

_MODEL_METRICS: Final = re.compile(
    r"(?:^|_)(?:accuracy|auc|auroc|f1|precision|recall|perplexity|rmse|mae|mape|mse|loss_value|"
    r"log_loss|bleu|rouge|ndcg|map_at|brier)(?:_|$)",
    re.IGNORECASE,
)
_MORE_DATA: Final = re.compile(
    r"\b(?:more|extra|additional|new|further|\d[\d,]*(?: more)?)\s+(?:\w+\s+){0,2}"
    r"(?:data|labels?|labelled|examples|annotations?|training)\b"
    r"|\b(?:label|annotate|collect)\s+(?:\w+\s+){0,3}(?:more|data|questions|messages|examples|cases)",
    re.IGNORECASE,
)
_VAGUE: Final = re.compile(
    r"\b(?:regular(?:ly)?|periodic(?:ally)?|as needed|when needed|often|from time to time|"
    r"sometimes|continuous(?:ly)?|soon)\b",
    re.IGNORECASE,
)
_GUARANTEE: Final = re.compile(
    r"\bguarantee[sd]?\b|\bnever wrong\b|\balways right\b|\b100 ?% of\b", re.IGNORECASE
)
_UNITS: Final = re.compile(
    r"(?:^|_)(?:usd|eur|bps|ms|s|seconds?|min|minutes?|hours?|days?|share|rate|ratio|percent|count|"
    r"score|per|million|thousand|points?|clicks?|sessions?|tickets?|orders?|users?)(?:_|$)",
    re.IGNORECASE,
)


def names_a_model(text: str | None) -> str | None:
    """Give the first model, technique or pipeline that a text names; "no LLM" names none.

    Examples:
        >>> names_a_model("Let's use a graph neural network"), names_a_model("No LLM: rules only")
        ('graph neural network', None)
    """
    for found in _MODELS.finditer(text or ""):
        if not _NEGATED.search((text or "")[: found.start()]):
            return found[0]
    return None


def is_model_metric(name: str | None) -> bool:
    """Claim that a metric speaks about a model and not about the business.

    Examples:
        >>> is_model_metric("accuracy"), is_model_metric("resolution_minutes")
        (True, False)
    """
    return bool(_MODEL_METRICS.search(name or ""))


def asks_for_data(text: str | None) -> bool:
    """Claim that a text wants more data or labels.

    Examples:
        >>> asks_for_data("improve accuracy with more data"), asks_for_data("a second worker")
        (True, False)
    """
    return bool(_MORE_DATA.search(text or ""))


def is_vague(text: str | None) -> bool:
    """Claim that a text says "regularly" where a number belongs."""
    return bool(_VAGUE.search(text or ""))


def claims_a_guarantee(text: str | None) -> bool:
    """Claim that a text promises more than any number of labels can show."""
    return bool(_GUARANTEE.search(text or ""))


def has_unit(name: str | None) -> bool:
    """Claim that the name of a metric carries its unit.

    Examples:
        >>> has_unit("resolution_minutes"), has_unit("happiness")
        (True, False)
    """
    return bool(_UNITS.search(name or ""))
