"""A cache by meaning: what it may answer at a certified precision, and what a fixed cosine does.

python -m bench.semantic_cache
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from bench.page import Section, table

from feasible.planning.hit_certificate import HitCertificate, ScoredPairs, certify_hits
from feasible.registry import weights
from feasible.schema import Example
from feasible.stats import lower_bound
from feasible.systems import dataset_file
from feasible.tiers.embedding import SentenceEmbedder
from feasible.tiers.hit_judge import Pair, cache_pairs
from feasible.tiers.semantic_cache import SemanticCache

__all__ = ["run"]

_PRECISIONS: Final = (0.99, 0.98, 0.97, 0.95)
"""The first of them that can be shown is promised."""
_HELD: Final = 5_000
"""Labelled rows that a cache starts with, where it starts with any."""
_SEARCH: Final = 2_000
_UNSEEN: Final = 3_080
"""As many test rows as BANKING77 has."""
_ARRIVALS: Final = 1_500
_KEYS: Final = {"banking77": ("category", "BANKING77"), "clinc150": ("intent", "CLINC150")}


@dataclass(frozen=True)
class _Data:
    """Rows of one data set: those a cache holds, those that choose and certify, and the rest."""

    name: str
    held: list[Example]
    search: list[Example]
    certify: list[Example]
    unseen: list[Example]


@dataclass(frozen=True)
class _Certified:
    """A fitted cache, its certificate, and what it does with pairs that nobody has seen."""

    cache: SemanticCache
    certificate: HitCertificate | None
    rows: ScoredPairs
    by_hand: ScoredPairs


def run() -> Section:
    """Certify on two data sets, then send traffic."""
    certified = {}
    banking = _load("banking77")
    for data in (banking, _load("clinc150")):
        certified[data.name, "labelled rows"] = _certified(data, data.held)
        certified[data.name, "hand-written pairs alone"] = _certified(data, [])
    hands = cache_pairs()
    negatives = sum(not pair.same_answer for pair in hands)
    text = f"""\
A stored answer is given to another question when the cache's own P(right) is high enough.
The threshold is chosen on search pairs and certified on others, at a confidence level of 95 %: the
precision of hits is at least 99 %, or the next of 98, 97 and 95 % that can be shown.
Pairs are questions of a data set with the best hit among {_HELD:,} stored ones, mixed with
hand-written pairs: {negatives} hard negatives (a negation, an opposite, a number, a name, a product
or a direction differs) and {len(hands) - negatives} paraphrases, of which a part trains, a part
certifies and a part is unseen.
`labelled rows`: the cache was fitted on the stored rows and knows that their answers are classes.
`hand-written pairs alone`: it knows nothing of them; this is the case of free-text answers.

{_certificates(certified)}

On pairs that neither chose nor certified, at these thresholds:

{_unseen(certified)}

Hard negatives alone, those kept for the end, and what a fixed cosine does with the same pairs:

{_hard(certified["BANKING77", "labelled rows"])}

Traffic: {_ARRIVALS:,} arrivals of the test questions of BANKING77, their intents drawn by Zipf's
law, once so that no text comes twice and once so that texts repeat.
After a miss the right answer is stored, as a language model would give it.

{_traffic(banking, certified)}
"""
    return Section("A cache by meaning", "python -m bench.semantic_cache", text)


def _load(name: str) -> _Data:
    """Cut a data set: training rows are held, choose and certify; test rows stay unseen."""
    key, title = _KEYS[name]
    if name == "banking77":
        rows = {"train": _read(name, "train.csv.gz"), "test": _read(name, "test.csv.gz")}
    else:
        every = [row for row in _read(name, "clinc150.csv.gz") if row["oos"] != "True"]
        rows = {part: [row for row in every if row["split"] == part] for part in ("train", "test")}
    order = np.random.default_rng(0).permutation(len(rows["train"]))
    train = [_example(f"{i}", rows["train"][i], key) for i in order]
    test = [_example(f"t{i}", row, key) for i, row in enumerate(rows["test"])]
    test = [test[i] for i in np.random.default_rng(1).permutation(len(test))[:_UNSEEN]]
    ends = _HELD, _HELD + _SEARCH, _HELD + 2 * _SEARCH
    return _Data(title, train[: ends[0]], train[ends[0] : ends[1]], train[ends[1] : ends[2]], test)


def _read(name: str, file: str) -> list[dict[str, str]]:
    with gzip.open(dataset_file(name, file), "rt", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def _example(row_id: str, row: dict[str, str], key: str) -> Example:
    return Example(row_id, {"text": row["text"]}, label=row[key])


def _certified(data: _Data, rows: Sequence[Example]) -> _Certified:
    cache = SemanticCache(weights=weights)
    cache.fit(rows, seed=0)
    if not rows:
        for row in data.held:
            cache.remember(row.request, row.label, None)
    search = _joined(_asked(cache, data.search), _pairs(cache, cache_pairs("fit")))
    judging = _joined(_asked(cache, data.certify), _pairs(cache, cache_pairs("certify")))
    tried = (certify_hits(search, judging, precision=promised) for promised in _PRECISIONS)
    return _Certified(
        cache,
        next((found for found in tried if found is not None), None),
        _asked(cache, data.unseen),
        _pairs(cache, cache_pairs("unseen")),
    )


def _asked(cache: SemanticCache, rows: Sequence[Example]) -> ScoredPairs:
    answers = cache.answer([row.request for row in rows])
    score = [np.nan if answer.score is None else answer.score for answer in answers]
    right = [answer.value == row.label for answer, row in zip(answers, rows, strict=True)]
    return ScoredPairs(np.asarray(score), np.asarray(right))


def _pairs(cache: SemanticCache, pairs: Sequence[Pair]) -> ScoredPairs:
    score = cache.same_answer([(pair.question_a, pair.question_b) for pair in pairs])
    return ScoredPairs(score, np.asarray([pair.same_answer for pair in pairs]))


def _joined(one: ScoredPairs, other: ScoredPairs) -> ScoredPairs:
    return ScoredPairs(
        np.concatenate([one.score, other.score]), np.concatenate([one.right, other.right])
    )


def _certificates(certified: dict[tuple[str, str], _Certified]) -> str:
    lines = []
    for (data, learnt), found in certified.items():
        line = found.certificate
        if line is None:
            lines.append([f"{data}, {learnt}", "none", "-", "-", "-", "-"])
            continue
        lines.append(
            [
                f"{data}, {learnt}",
                f"{line.precision:.0%}",
                f"{line.threshold:.3f}",
                f"{line.hits:,} of {line.pairs:,}",
                f"{line.wrong}",
                f"{line.precision_bound:.2%}",
            ]
        )
    header = ["learnt from", "promised", "threshold", "hits", "wrong", "precision at least"]
    return table(header, lines)


def _unseen(certified: dict[tuple[str, str], _Certified]) -> str:
    lines = []
    for (data, learnt), found in certified.items():
        if found.certificate is None:
            continue
        threshold = found.certificate.threshold
        for what, pairs in (("test rows", found.rows), ("hand-written", found.by_hand)):
            hits, wrong = pairs.hits(threshold)
            lines.append([f"{data}, {learnt}: {what}", *_figures(hits, wrong, len(pairs.score))])
    header = ["pairs", "all", "hits", "hit rate", "wrong", "precision", "at least (95 %)"]
    return table(header, lines)


def _figures(hits: int, wrong: int, asked: int) -> list[str]:
    """Give counts, rate, precision and its one-sided bound."""
    if not hits:
        return [f"{asked:,}", "0", "0.0%", "0", "-", "-"]
    bound = lower_bound(hits - wrong, hits, confidence_level=0.95)
    return [
        f"{asked:,}",
        f"{hits:,}",
        f"{hits / asked:.1%}",
        f"{wrong}",
        f"{(hits - wrong) / hits:.2%}",
        f"{bound:.2%}",
    ]


def _hard(found: _Certified) -> str:
    """Count false hits by kind, ours against a fixed cosine."""
    threshold = float("inf") if found.certificate is None else found.certificate.threshold
    pairs = cache_pairs("unseen")
    score = found.by_hand.score
    embedder = SentenceEmbedder(weights, threads=1, max_tokens=64)
    one = embedder.embed_once([pair.question_a for pair in pairs])
    other = embedder.embed_once([pair.question_b for pair in pairs])
    cosine = np.einsum("ij,ij->i", one, other)
    kinds = list(dict.fromkeys(pair.kind for pair in pairs))
    lines = []
    for kind in kinds:
        of_kind = np.asarray([pair.kind == kind for pair in pairs])
        counts = [(score >= threshold)[of_kind].sum()]
        counts += [(cosine >= limit)[of_kind].sum() for limit in (0.85, 0.95)]
        lines.append([kind, f"{of_kind.sum()}", *(f"{count}" for count in counts)])
    return table(["kind", "pairs", "our hits", "hits at cosine 0.85", "at 0.95"], lines)


def _arrivals(rows: Sequence[Example], *, repeats: bool) -> list[Example]:
    """Draw intents by Zipf's law, and for each one of its questions."""
    rng = np.random.default_rng(77)
    by_intent: dict[Any, list[Example]] = {}
    for row in rows:
        by_intent.setdefault(row.label, []).append(row)
    intents = sorted(by_intent)
    rng.shuffle(intents)
    share = 1.0 / np.arange(1, len(intents) + 1)
    for questions in by_intent.values():
        rng.shuffle(questions)
    drawn: list[Example] = []
    while len(drawn) < _ARRIVALS:
        left = np.asarray([bool(by_intent[intent]) for intent in intents])
        rank = rng.choice(len(intents), p=share * left / (share * left).sum())
        questions = by_intent[intents[rank]]
        if repeats:
            weight = 1.0 / np.arange(1, len(questions) + 1)
            drawn.append(questions[rng.choice(len(questions), p=weight / weight.sum())])
        else:
            drawn.append(questions.pop())
    return drawn


class _Exact:
    """Answers the same words."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {}

    def ask(self, row: Example) -> Any:
        return self.known.get(_plain(row))

    def store(self, row: Example) -> None:
        self.known[_plain(row)] = row.label


class _Cosine:
    """Answers from one fixed cosine on: what most semantic caches do."""

    def __init__(self, limit: float, embed: Callable[[Example], Any], room: int) -> None:
        self.limit, self.embed = limit, embed
        self.matrix: npt.NDArray[np.float32] = np.zeros((room, 384), np.float32)
        self.labels: list[Any] = []

    def ask(self, row: Example) -> Any:
        if not self.labels:
            return None
        near = np.einsum("ij,j->i", self.matrix[: len(self.labels)], self.embed(row))
        best = int(near.argmax())
        return self.labels[best] if near[best] >= self.limit else None

    def store(self, row: Example) -> None:
        self.matrix[len(self.labels)] = self.embed(row)
        self.labels.append(row.label)


class _Ours:
    """Answers from the certified score on."""

    def __init__(self, cache: SemanticCache, certificate: HitCertificate | None) -> None:
        self.cache = cache
        self.threshold = float("inf") if certificate is None else certificate.threshold

    def ask(self, row: Example) -> Any:
        (answer,) = self.cache.answer([row.request])
        return answer.value if (answer.score or 0.0) >= self.threshold else None

    def store(self, row: Example) -> None:
        self.cache.remember(row.request, row.label, None)


def _plain(row: Example) -> str:
    return " ".join(str(row.request["text"]).casefold().split())


def _traffic(data: _Data, certified: dict[tuple[str, str], _Certified]) -> str:
    embedder = SentenceEmbedder(weights, threads=1, max_tokens=64)
    known = [*data.held, *data.unseen]
    texts = [str(row.request["text"]) for row in known]
    of = dict(zip(texts, embedder.embed_once(texts), strict=True))

    def embed(row: Example) -> Any:
        return of[str(row.request["text"])]

    room = _HELD + _ARRIVALS
    fitted, bare = (
        certified[data.name, learnt] for learnt in ("labelled rows", "hand-written pairs alone")
    )
    lines = []
    for title, repeats in (("no text twice", False), ("texts repeat", True)):
        arrivals = _arrivals(data.unseen, repeats=repeats)
        for start in ([], data.held):
            caches: list[tuple[str, Any]] = [
                ("exact", _Exact()),
                ("cosine 0.95", _Cosine(0.95, embed, room)),
                ("cosine 0.85", _Cosine(0.85, embed, room)),
            ]
            ours = fitted if start else bare
            ours.cache.clear()
            caches.append(("ours, certified", _Ours(ours.cache, ours.certificate)))
            for name, cache in caches:
                for row in start if name != "ours, certified" else []:
                    cache.store(row)
                begun = f"starts with {len(start):,}" if start else "starts empty"
                lines.append([f"{title}, {begun}: {name}", *_served(cache, arrivals)])
    header = ["cache", "arrivals", "hits", "hit rate", "wrong", "precision", "at least (95 %)"]
    return table(header, lines)


def _served(cache: Any, arrivals: Sequence[Example]) -> list[str]:
    hits = wrong = 0
    for row in arrivals:
        value = cache.ask(row)
        if value is None:
            cache.store(row)
        else:
            hits += 1
            wrong += value != row.label
    return _figures(hits, wrong, len(arrivals))


if __name__ == "__main__":
    print(run().text)
