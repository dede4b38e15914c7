"""Word and character n-grams, weighed by how rare they are: the features of the text model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

__all__ = ["Ngrams"]

_WORD: Final = re.compile(r"\w+")
_SPACES: Final = re.compile(r"\s\s+")


class Ngrams:
    """Turns text into a sparse row: n-grams of words, then n-grams of characters within words.

    Each half is weighed by 1 + ln(count) times ln((1 + n) / (1 + rows with it)) + 1 and brought to
    length 1, as scikit-learn's TfidfVectorizer(sublinear_tf=True) does; a test holds the two equal.
    It is written out here so that serving a model neither loads nor waits for that library.

    Args:
        word_max: Longest n-gram of words.
        char_max: Longest n-gram of characters; below 2 for none.
        min_rows: Rows of the fit in which an n-gram of characters occurs before it counts.

    Attributes:
        vocabulary: N-gram -> column; the words' come first, marked `w:`, the characters' `c:`.
        weights: Weight of each column, float64.
    """

    def __init__(self, *, word_max: int = 2, char_max: int = 4, min_rows: int = 2) -> None:
        self.word_max = word_max
        self.char_max = char_max
        self.min_rows = min_rows
        self.vocabulary: dict[str, int] = {}
        self.weights: npt.NDArray[np.float64] = np.empty(0)
        self._n_words = 0

    def fit(self, texts: Sequence[str]) -> None:
        """Learn the columns and their weights."""
        words: Counter[str] = Counter()
        chars: Counter[str] = Counter()
        for text in texts:
            words.update(set(self._words(text)))
            chars.update(set(self._chars(text)))
        kept = [(gram, words[gram]) for gram in sorted(words)]
        kept += [(gram, chars[gram]) for gram in sorted(chars) if chars[gram] >= self.min_rows]
        rows_with = np.asarray([count for _, count in kept], dtype=np.float64)
        self.set([gram for gram, _ in kept], np.log((1 + len(texts)) / (1 + rows_with)) + 1)

    def set(self, grams: Iterable[str], weights: npt.NDArray[np.float64]) -> None:
        """Take columns and weights learnt before."""
        self.vocabulary = {gram: column for column, gram in enumerate(grams)}
        self.weights = weights
        self._n_words = sum(1 for gram in self.vocabulary if gram.startswith("w:"))

    def transform(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Give the rows: float32, shape (n_texts, n_columns). A text without known n-grams is 0."""
        columns: list[npt.NDArray[np.int32]] = []
        values: list[npt.NDArray[np.float32]] = []
        ends = [0]
        for text in texts:
            found, weighed = self._row(text)
            columns.append(found)
            values.append(weighed)
            ends.append(ends[-1] + len(found))
        data = np.concatenate(values) if values else np.empty(0, np.float32)
        indices = np.concatenate(columns) if columns else np.empty(0, np.int32)
        shape = (len(texts), len(self.vocabulary))
        return sparse.csr_matrix((data, indices, np.asarray(ends, np.int32)), shape=shape)

    def _row(self, text: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Give the columns of a text, rising, and their values."""
        known = self.vocabulary
        counts: dict[int, int] = {}
        for grams in (self._words(text), self._chars(text)):
            for gram in grams:
                column = known.get(gram)
                if column is not None:
                    counts[column] = counts.get(column, 0) + 1
        columns = np.fromiter(sorted(counts), np.int32, len(counts))
        repeats = np.fromiter((counts[column] for column in columns.tolist()), float, len(counts))
        values = (1 + np.log(repeats)) * self.weights[columns]
        split = int(np.searchsorted(columns, self._n_words))
        for half in (slice(0, split), slice(split, None)):
            length = np.sqrt(values[half] @ values[half])
            if length > 0:
                values[half] /= length
        return columns, values.astype(np.float32)

    def _words(self, text: str) -> Iterator[str]:
        words = _WORD.findall(text.lower())
        for length in range(1, self.word_max + 1):
            for start in range(len(words) - length + 1):
                yield "w:" + " ".join(words[start : start + length])

    def _chars(self, text: str) -> Iterator[str]:
        for word in _SPACES.sub(" ", text.lower()).split() if self.char_max > 1 else ():
            padded = f" {word} "
            for length in range(2, self.char_max + 1):
                if length >= len(padded):
                    yield "c:" + padded
                    break
                for start in range(len(padded) - length + 1):
                    yield "c:" + padded[start : start + length]
