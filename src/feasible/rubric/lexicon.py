"""Words that give a design away: model names, model metrics, "more data", big promises."""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "asks_for_data",
    "asks_to_retry",
    "claims_a_guarantee",
    "has_unit",
    "is_about_right_answers",
    "is_model_metric",
    "is_vague",
    "names_a_model",
    "says_something",
    "wants_more_data",
]

# Families, vendors and techniques; and pipelines, which are the same flaw as a first thought.
_MODELS: Final = re.compile(
    r"\b(?:"
    r"gpt(?:-?\d[-\w.]*)?|chatgpt|openai|anthropic|claude|gemini|llama|mi[sx]tral|qwen|deepseek|"
    r"hugging ?face|bedrock|vertex ai|sagemaker|"
    r"llms?|(?:large )?language models?|foundation models?|generative ai|gen-?ai|"
    r"(?<!power )(?<!voltage )(?<!current )(?<!distribution )(?<!electrical )transformers?|"
    r"(?:distil|ro|de|tiny|modern)?bert|minilm|resnet|word2vec|"
    r"xgboost|lightgbm|catboost|random forests?|gradient[- ]boost\w*|logistic regression|"
    r"decision trees?|collaborative filtering|matrix factori[sz]ation|reinforcement learning|"
    r"(?:graph )?neural (?:net(?:work)?s?|rank\w*|model\w*)|gnns?|cnns?|rnns?|lstms?|svms?|"
    r"deep learning|machine[- ]learning|federated learning|(?:ml|ai) models?|"
    r"embedding models?|vector (?:search|stores?|databases?)|"
    r"fine-?tun\w+|retrieval[- ]augmented\w*|few-shot|prompt engineering|"
    r"train(?:ing)? (?:an?|the|our) (?:\w+ ){0,2}(?:model|classifier|network)|"
    r"kafka|airflow|flink|pyspark|apache spark|databricks|bigquery|"
    r"feature stores?|data (?:lakes?|warehouses?)|(?:data|etl|ml|training) pipelines?"
    r")\b"
    # These are words of their own in small letters: a clip, a rag, to cohere.
    r"|(?-i:\b(?:T5|CLIP|ViTs?|Whisper|LoRA|RAG|ALBERT|Cohere|Snowflake)\b)",
    re.IGNORECASE,
)
_NEGATED: Final = re.compile(
    r"\b(?:no|not|without|instead of|never|rather than|avoid\w*|replac\w+)\s+"
    r"(?:(?:us\w+|call\w*|build\w*|train\w*|ask\w*|need\w*(?: for)?|rely\w* on|depend\w* on|"
    r"hav\w+|adopt\w*)\s+)?(?:(?:an?|any|the|our|another|new|large|single|own)\s+){0,2}$",
    re.IGNORECASE,
)
_JUDGE: Final = re.compile(r"[\s-]*(?:as[\s-]a[\s-])?judge", re.IGNORECASE)  # it measures

_MODEL_METRICS: Final = re.compile(
    r"(?:^|[\W_])(?:accuracy|auc|auroc|rocauc|f1|f_?beta|precision|recall|perplexity|rmse|mae|mape|"
    r"mse|loss_value|log_?loss|cross_entropy|bleu|rouge|ndcg|mrr|map_at|top_?\d|hit_at|brier|"
    r"wer|word_error_rate|r2|iou)(?:[\W_]|$)",
    re.IGNORECASE,
)
_DATA: Final = (
    r"(?:data(?:sets?)?|labels?|labelled|labeled|examples|annotations?|annotators?|training|"
    r"samples|ground truth)\b"
)
_MORE_DATA: Final = re.compile(
    rf"\b(?:more|extra|additional|further)\s+(?:[\w-]+\s+){{0,2}}{_DATA}"
    r"|\b(?:larger|bigger|richer)\s+(?:[\w-]+\s+){0,2}(?:data|datasets?|sample|training sets?)\b"
    r"|\bcrowd-?sourc\w+|\b(?:augment|enlarge|grow)\w*\s+(?:[\w-]+\s+){0,2}(?:data|datasets?)\b",
    re.IGNORECASE,
)
_LABELLING: Final = re.compile(
    rf"\b(?:new|fresh|\d[\d,]*)\s+(?:[\w-]+\s+){{0,2}}{_DATA}"
    r"|\b(?:label|annotate|collect|gather)\s+(?:[\w-]+\s+){0,3}"
    rf"(?:more|questions|messages|cases|feedback|{_DATA})\b",
    re.IGNORECASE,
)
_VAGUE: Final = re.compile(
    r"\b(?:regular(?:ly)?|routine(?:ly)?|periodic(?:ally)?|occasional(?:ly)?|frequent(?:ly)?|"
    r"eventually|ad[ -]hoc|on demand|at some point|every so often|now and then|"
    r"(?:as|when|whenever|where|if) (?:needed|necessary|required|possible|appropriate)|"
    r"often|from time to time|sometimes|continuous(?:ly)?|continual(?:ly)?|soon|"
    r"when\w* (?:there is|we have|the team has|somebody has) time)\b",
    re.IGNORECASE,
)
_GUARANTEE: Final = re.compile(
    r"\bguarantee(?:s|d|ing)?\b|\balways (?:right|correct)\b|\b(?:error-free|infallible)\b"
    r"|\bnever (?:wrong|err\w*|fails?|miss(?:es)?)\b"
    r"|\bzero (?:errors?|mistakes?|misses|false \w+|hallucinations?)\b"
    r"|\b100 ?% (?:of|accura\w+|recall|precision|correct\w*|right|safe|reliab\w+)",
    re.IGNORECASE,
)
_RIGHT: Final = re.compile(
    r"right|correct|wrong|accura|error|mistake|miss|recall|precision|quality|fail|%", re.IGNORECASE
)
_NO_GUARANTEE: Final = re.compile(
    r"\b(?:no|not|without|cannot|never)\s+(?:an?\s+)?$", re.IGNORECASE
)
_RETRIES: Final = re.compile(
    r"(?<!no )(?<!not )(?<!never )(?<!without )"
    r"\b(?:retr(?:y|ies|ied|ying)|tr(?:y|ies|ied) (?:it |them )?again)\b",
    re.IGNORECASE,
)
_PLACEHOLDER: Final = re.compile(
    r"\W*(?:none|nothing|nobody|no(?:ne)? yet|never|n/?a|tb[cd]|todo|to be (?:decided|done)|"
    r"unknown|not (?:decided|known|stated|sure)|x{2,}|null)?\W*",
    re.IGNORECASE,
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
    text = (text or "").replace("_", " ")
    for found in _MODELS.finditer(text):
        is_judge = _JUDGE.match(text, found.end()) is not None
        if not is_judge and not _NEGATED.search(text[: found.start()]):
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
    return wants_more_data(text) or bool(_LABELLING.search(text or ""))


def wants_more_data(text: str | None) -> bool:
    """Claim that a text wants more of it than there is, and not only says who labels.

    Examples:
        >>> wants_more_data("better with more data"), wants_more_data("agents label cases")
        (True, False)
    """
    return bool(_MORE_DATA.search(text or ""))


def is_vague(text: str | None) -> bool:
    """Claim that a text says "regularly" where a number belongs."""
    return bool(_VAGUE.search(text or ""))


def claims_a_guarantee(text: str | None) -> bool:
    """Claim that a text promises more than any number of labels can show."""
    return any(
        not _NO_GUARANTEE.search((text or "")[: found.start()])
        for found in _GUARANTEE.finditer(text or "")
    )


def is_about_right_answers(text: str | None) -> bool:
    """Claim that a text speaks of being right, and not of being fast or there.

    Examples:
        >>> is_about_right_answers("guaranteed right"), is_about_right_answers("in a second")
        (True, False)
    """
    return bool(_RIGHT.search(text or ""))


def asks_to_retry(text: str | None) -> bool:
    """Claim that a text wants a failed call made again.

    Examples:
        >>> asks_to_retry("retry until it answers"), asks_to_retry("never retried")
        (True, False)
    """
    return bool(_RETRIES.search(text or ""))


def says_something(text: str | None) -> bool:
    """Claim that a text is there and is no placeholder.

    Examples:
        >>> says_something("rules"), says_something("TBD"), says_something(None)
        (True, False, False)
    """
    return not _PLACEHOLDER.fullmatch(text or "")


def has_unit(name: str | None) -> bool:
    """Claim that the name of a metric carries its unit.

    Examples:
        >>> has_unit("resolution_minutes"), has_unit("happiness")
        (True, False)
    """
    return bool(_UNITS.search(name or ""))
