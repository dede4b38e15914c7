"""The semantic cache: the answer to a question that asks the same in other words."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from feasible.clock import Clock, SystemClock
from feasible.errors import ModelFileError, TierError
from feasible.schema import ABSTAIN, Answer, Example, Request, TierKind
from feasible.tiers.base import Weights
from feasible.tiers.cache import request_key
from feasible.tiers.embedding import DIMENSIONS, SentenceEmbedder
from feasible.tiers.fingerprint import version_of
from feasible.tiers.hit_classes import HitClasses, class_key, fit_classes
from feasible.tiers.hit_entries import Entries, Entry
from feasible.tiers.hit_features import compare, read
from feasible.tiers.hit_judge import CLASS_COLUMNS, HitJudge, cache_pairs, fit_judge
from feasible.tiers.model_files import StoredModel, read_model, write_model
from feasible.tiers.text import texts_of

__all__ = ["SemanticCache"]

Float32: TypeAlias = npt.NDArray[np.float32]
Float64: TypeAlias = npt.NDArray[np.float64]

_CODE: Final = "semantic-cache-1"
_FORMAT: Final = "feasible.semantic-cache/1"
_JUDGED: Final = 3
_AGREEING: Final = 8
_ROWS: Final = 2_000
_STREAM: Final = 4_211


@dataclass(frozen=True, slots=True)
class _Learnt:
    judge: HitJudge
    classes: HitClasses | None
    rows: Entries
    embeddings: Float32
    facts: tuple[tuple[str, str, Any], ...]


class SemanticCache:
    """Answers a question with the answer of the stored question most likely to ask the same.

    The score is P(the stored answer is right for the new question), times the probability the
    stored answer was accepted with: no fixed cosine decides. It is learnt from the pairs of
    `cache_pairs.csv` and, where answers repeat among the rows, from which neighbours share one. It
    is a raw score all the same: the planner calibrates it and chooses the threshold. The cache
    abstains when it holds no question.

    Only requests that are equal in every field but the text share answers, so that a tenant, a
    language or a customer in the request keeps them apart. Unlike the exact cache it holds the
    texts of questions: without them it could not tell "turn on" from "turn off". English only.

    Safe to use from several threads; each process has its own memory.

    Args:
        text_field: Field of the request that holds the question.
        threads: Threads of one call.
        max_tokens: Tokens that the embedding reads; the words are compared to the end.
        size: Most questions remembered while serving, and most rows of a fit that are held. Beyond
            it the one not used for longest is forgotten, or the first rows are left out.
        ttl_s: Seconds a remembered answer holds; None for as long as there is room. Rows of the fit
            hold until the next fit.
        clock: Where time comes from.
        weights: Gives the folder of the prepared weights, `feasible.registry.weights` for example;
            asked at the first fit, load or answer.

    Raises:
        ValueError: A setting is out of range.
    """

    kind: Final = TierKind.MODEL
    simulated: Final = False

    def __init__(
        self,
        *,
        text_field: str = "text",
        threads: int = 1,
        max_tokens: int = 64,
        size: int = 20_000,
        ttl_s: float | None = None,
        clock: Clock | None = None,
        weights: Weights | None = None,
    ) -> None:
        if threads < 1:
            raise ValueError(f"threads is at least 1; found {threads}")
        if not 3 <= max_tokens <= 512:  # noqa: PLR2004  two marks and one token; what it was trained for
            raise ValueError(f"max_tokens is from 3 to 512; found {max_tokens}")
        if size < 1:
            raise ValueError(f"a cache holds at least 1 answer; found size {size}")
        if ttl_s is not None and not ttl_s > 0:
            raise ValueError(f"a cache remembers for more than 0 s; found ttl_s {ttl_s}")
        self.name = "semantic_cache"
        # It runs in our own process: no bill per call, the machine's hour is the serving layer's.
        self.usd_per_call: float | None = 0.0
        self.worst_usd_per_call: float | None = 0.0
        self._text_field = text_field
        self._threads = threads
        self._max_tokens = max_tokens
        self._size = size
        self._ttl_s = ttl_s
        self._clock = clock or SystemClock()
        self._embedder = SentenceEmbedder(weights, threads=threads, max_tokens=max_tokens)
        self._learnt: _Learnt | None = None
        self._remembered = Entries(size)
        self._lock = threading.Lock()
        self._weights_sha256 = ""
        self._content = ""

    def __len__(self) -> int:
        """Give the number of questions held: rows of the fit and what was remembered since."""
        return len(self._remembered) + (len(self._learnt.rows) if self._learnt else 0)

    @property
    def weights(self) -> Weights | None:
        """Give the function that finds the weights."""
        return self._embedder.weights

    @weights.setter
    def weights(self, weights: Weights | None) -> None:
        self._embedder.weights = weights

    @property
    def version(self) -> str:
        """Give a hash of code, settings, weights and what was learnt; not of what it remembers."""
        return version_of(_CODE, self._settings(), self._content)

    def blank(self) -> SemanticCache:
        """Give an unfitted copy with the same settings, which shares the opened weights."""
        copied = SemanticCache(
            text_field=self._text_field,
            threads=self._threads,
            max_tokens=self._max_tokens,
            size=self._size,
            ttl_s=self._ttl_s,
            clock=self._clock,
        )
        copied._embedder = self._embedder
        return copied

    def fit(self, examples: Sequence[Example], *, seed: int) -> None:
        """Hold the rows that have a label, and learn when a stored answer is right for another.

        Without rows it still learns from the pairs that ship with it, and starts empty.

        Raises:
            EngineMissing: The weights are not there and cannot be had.
            RequestError: A row has no text.
        """
        # scikit-learn requires it, so that it is always there; here because only fitting needs it.
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415

        self._weights_sha256 = self._embedder.open()
        rows = [row for row in examples if row.label is not None][-self._size :]
        requests = [row.request for row in rows]
        texts = texts_of(requests, self._text_field)
        scopes = [self._scope(request) for request in requests]
        embeddings = (
            self._embedder.embed_once(texts) if texts else np.empty((0, DIMENSIONS), np.float32)
        )
        keys = [class_key(row.label) for row in rows]
        order = np.random.default_rng([_STREAM, seed]).permutation(len(rows))
        sample = np.sort(order[:_ROWS])
        with threadpool_limits(limits=1):
            found = fit_classes(embeddings, keys, left_out=sample, seed=seed)
        classes = found[0] if found else None
        facts = tuple(
            (scope, text, row.label) for scope, text, row in zip(scopes, texts, rows, strict=True)
        )
        held = self._held(facts, embeddings, classes)
        left_out = None if found is None else dict(zip(sample.tolist(), found[1], strict=True))
        judge = self._fit_judge(held, embeddings, left_out)
        self._learn(_Learnt(judge, classes, held[1], embeddings, facts))

    def answer(self, batch: Sequence[Request]) -> list[Answer]:
        """Answer every request with its likeliest hit; abstain where nothing is held.

        Raises:
            TierError: It was never fitted.
            RequestError: A request has no text.
        """
        learnt = self._fitted()
        texts = texts_of(batch, self._text_field)
        return [
            self._look_up(learnt, request, text) for request, text in zip(batch, texts, strict=True)
        ]

    def remember(self, request: Request, value: Any, score: float | None) -> None:
        """Keep an accepted answer.

        Args:
            request: What was asked.
            value: What was answered; None is not an answer and is not kept.
            score: Calibrated probability it was accepted with. Ratio; None when unknown.
        """
        learnt = self._fitted()
        if value is None:
            return
        (text,) = texts_of([request], self._text_field)
        embedding = self._embedder.embed([text])[0]
        entry = Entry(
            key=request_key(request, text_field=self._text_field),
            scope=self._scope(request),
            text=text,
            value=copy.deepcopy(value),
            probability=score,
        )
        if learnt.classes is not None:
            entry.column = learnt.classes.number(class_key(value))
        if self._ttl_s is not None:
            entry.until_s = self._clock.monotonic() + self._ttl_s
        with self._lock:
            self._remembered.put(entry, embedding)

    def clear(self) -> None:
        """Forget what was remembered since it was fitted or loaded."""
        with self._lock:
            self._remembered.clear()

    def same_answer(self, pairs: Sequence[tuple[str, str]]) -> Float64:
        """Give P(the answer to one question is right for the other) by the questions alone.

        Args:
            pairs: Two questions each; their order does not matter.

        Returns:
            Probabilities before calibration, shape (n_pairs,). Ratio.

        Raises:
            TierError: It was never fitted.
        """
        return self._fitted().judge.probability(self._pair_features(pairs))

    def save(self, folder: Path) -> None:
        """Write the rows and what was learnt: JSON and plain arrays; nothing remembered since."""
        write_model(folder, self._stored())

    def load(self, folder: Path) -> None:
        """Read what `save` wrote. The settings and the weights must be those of the fit.

        Raises:
            EngineMissing: The weights are not there and cannot be had.
            ModelFileError: It is missing, damaged, another kind, or was fitted otherwise.
        """
        stored = read_model(folder, _FORMAT)
        asked = {"settings": self._settings(), "weights_sha256": self._embedder.open()}
        found = {name: stored.facts.get(name) for name in asked}
        if found != asked:
            raise ModelFileError(
                f"the model in {folder} was fitted on other weights or with other settings",
                asked=f"{asked}",
                found=f"{found}",
                attempt="restore the options in the brief, or plan again: feasible plan NAME",
            )
        judge = HitJudge.read(stored.facts, stored.arrays)
        try:
            facts = tuple((scope, text, value) for scope, text, value in stored.facts["rows"])
            embeddings = stored.arrays["embeddings"].reshape(len(facts), DIMENSIONS)
            classes = HitClasses.read(stored.facts, stored.arrays)
            held = self._held(facts, embeddings, classes)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"the model in {folder} is not whole", found=str(error), attempt="fit it again"
            ) from error
        self._weights_sha256 = str(asked["weights_sha256"])
        self._learn(_Learnt(judge, classes, held[1], embeddings, facts))

    def _settings(self) -> dict[str, Any]:
        """Give what changes answers; the number of threads does not."""
        return {
            "text_field": self._text_field,
            "max_tokens": self._max_tokens,
            "size": self._size,
            "ttl_s": self._ttl_s,
        }

    def _scope(self, request: Request) -> str:
        rest = {name: value for name, value in request.items() if name != self._text_field}
        return request_key(rest, text_field=self._text_field)

    def _learn(self, learnt: _Learnt) -> None:
        with self._lock:
            self._learnt = learnt
            self._remembered.clear()
        self._content = self._stored().content_hash

    def _fitted(self) -> _Learnt:
        if self._learnt is None:
            raise TierError(
                f"tier {self.name!r} was asked before it was fitted",
                attempt="fit(examples, seed=0) or load(folder) first",
            )
        return self._learnt

    def _held(
        self,
        facts: Sequence[tuple[str, str, Any]],
        embeddings: Float32,
        classes: HitClasses | None,
    ) -> tuple[list[Entry], Entries]:
        """Make entries of rows. Rows of the same words keep their own, under keys of their own."""
        rows = Entries(max(1, len(facts)))
        made = []
        for index, (scope, text, value) in enumerate(facts):
            entry = Entry(
                key=str(index),
                scope=scope,
                text=text,
                value=value,
                probability=1.0,
                column=-1 if classes is None else classes.number(class_key(value)),
            )
            rows.put(entry, embeddings[index])
            made.append(entry)
        return made, rows

    def _fit_judge(
        self,
        held: tuple[list[Entry], Entries],
        embeddings: Float32,
        left_out: dict[int, Float32] | None,
    ) -> HitJudge:
        by_hand = cache_pairs("fit")
        pairs = self._pair_features([(pair.question_a, pair.question_b) for pair in by_hand])
        right = np.asarray([pair.same_answer for pair in by_hand])
        if left_out is None:
            return fit_judge(pairs, right)
        made, rows = held
        features, evidence, same = [], [], []
        for index, values in left_out.items():
            entry = made[index]
            near = rows.nearest(embeddings[index], entry.scope, most=_AGREEING + 1, now_s=0.0)
            near = [(cosine, other) for cosine, other in near if other is not entry][:_AGREEING]
            for cosine, other in near[:_JUDGED]:
                features.append((*compare(entry.reading, other.reading), cosine))
                evidence.append(_evidence(values, other, near))
                same.append(class_key(entry.value) == class_key(other.value))
        known = ~np.isnan(np.asarray(evidence)).any(axis=1) if evidence else np.empty(0, bool)
        if not known.any():
            return fit_judge(pairs, right)
        return fit_judge(
            pairs,
            right,
            rows=np.asarray(features)[known],
            evidence=np.asarray(evidence)[known],
            rows_right=np.asarray(same)[known],
        )

    def _pair_features(self, pairs: Sequence[tuple[str, str]]) -> Float64:
        one = self._embedder.embed_once([a for a, _ in pairs])
        other = self._embedder.embed_once([b for _, b in pairs])
        cosines = np.einsum("ij,ij->i", one, other)
        return np.asarray(
            [
                (*compare(read(a), read(b)), float(cosine))
                for (a, b), cosine in zip(pairs, cosines, strict=True)
            ]
        )

    def _look_up(self, learnt: _Learnt, request: Request, text: str) -> Answer:
        now_s = self._clock.monotonic()
        key = request_key(request, text_field=self._text_field)
        with self._lock:
            same = self._remembered.get(key, now_s=now_s)
            if same is not None:
                self._remembered.touch(key)
                return Answer(copy.deepcopy(same.value), score=_accepted(same))
        embedding = self._embedder.embed([text])[0]
        scope = self._scope(request)
        near = learnt.rows.nearest(embedding, scope, most=_AGREEING, now_s=now_s)
        with self._lock:
            near += self._remembered.nearest(embedding, scope, most=_AGREEING, now_s=now_s)
        near.sort(key=lambda found: -found[0])
        near = near[:_AGREEING]
        if not near:
            return ABSTAIN
        best, score = self._judge(learnt, text, embedding, near)
        with self._lock:
            self._remembered.touch(best.key)
        return Answer(copy.deepcopy(best.value), score=score)

    def _judge(
        self,
        learnt: _Learnt,
        text: str,
        embedding: Float32,
        near: list[tuple[float, Entry]],
    ) -> tuple[Entry, float]:
        """Give the entry whose answer is likeliest to be right, and how likely."""
        reading = read(text)
        values = None if learnt.classes is None else learnt.classes.values(embedding)
        judged = near[:_JUDGED]
        features = [(*compare(reading, entry.reading), cosine) for cosine, entry in judged]
        evidence = [_evidence(values, entry, near) for _, entry in judged]
        right = learnt.judge.probability(np.asarray(features), np.asarray(evidence))
        scores = [
            float(chance) * _accepted(entry)
            for chance, (_, entry) in zip(right, judged, strict=True)
        ]
        best = int(np.argmax(scores))
        return judged[best][1], scores[best]

    def _stored(self) -> StoredModel:
        learnt = self._fitted()
        facts: dict[str, Any] = {
            "settings": self._settings(),
            "weights_sha256": self._weights_sha256,
            "rows": [list(row) for row in learnt.facts],
            **learnt.judge.facts(),
        }
        arrays: dict[str, npt.NDArray[Any]] = {
            "embeddings": learnt.embeddings,
            **learnt.judge.arrays(),
        }
        if learnt.classes is not None:
            facts.update(learnt.classes.facts())
            arrays.update(learnt.classes.arrays())
        return StoredModel(_FORMAT, facts, arrays)


def _accepted(entry: Entry) -> float:
    """Give the probability that the stored answer is right for its own question."""
    return 1.0 if entry.probability is None else entry.probability


def _margin(values: Float32, column: int) -> float:
    """Give how far one class stands above the best of the others; NaN when it is none."""
    if column < 0:
        return float("nan")
    others = np.delete(values, column)
    return float(values[column] - others.max())


def _evidence(
    values: Float32 | None, entry: Entry, near: Sequence[tuple[float, Entry]]
) -> tuple[float, ...]:
    """Give what the classifier and the neighbours say for an entry's answer."""
    if values is None or entry.column < 0:
        return (float("nan"),) * len(CLASS_COLUMNS)
    margin = _margin(values, entry.column)
    agreeing = sum(other.column == entry.column for _, other in near)
    return float(margin > 0), margin, agreeing / len(near)
