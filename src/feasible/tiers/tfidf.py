"""The text model without a network: n-grams weighed by rarity, and logistic regression."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from feasible.errors import ModelFileError, TierError
from feasible.schema import Answer, Example, Request, TierKind
from feasible.tiers.fingerprint import version_of
from feasible.tiers.linear import LinearHead, check_care, fit_linear, labelled, labels_on
from feasible.tiers.model_files import StoredModel, read_model, write_model
from feasible.tiers.ngrams import Ngrams
from feasible.tiers.text import texts_of

__all__ = ["TfidfModel"]

_CODE: Final = "tfidf-1"
_FORMAT: Final = "feasible.tfidf/1"


class TfidfModel:
    """Reads a text by its words and pieces of words; strong, cheap and quick to fit.

    The score is the softmax share of the answer, 1/n_classes to 1: a ranking, not a probability
    until calibrated. Held-out fifth of the training rows of BANKING77 (8,003 rows, 77 classes):
    90.0 % right, 97.2 % on the surest 80 %, 2.7 s to fit, 0.1 ms a row on one core.

    Args:
        text_field: Field of the request that holds the text.
        word_max: Longest n-gram of words.
        char_max: Longest n-gram of characters; below 2 for none.
        inverse_penalty: Larger follows the rows more closely, > 0.
        careful_on: Slice whose rows are dear to miss; empty for none.
        care: How many times dearer than any other error, >= 1.

    Raises:
        ValueError: A setting is out of range.
    """

    kind: Final = TierKind.MODEL
    simulated: Final = False

    def __init__(
        self,
        *,
        text_field: str = "text",
        word_max: int = 2,
        char_max: int = 4,
        inverse_penalty: float = 30.0,
        careful_on: str = "",
        care: float = 1.0,
    ) -> None:
        if word_max < 1:
            raise ValueError(f"word_max is at least 1; found {word_max}")
        if char_max < 0:
            raise ValueError(f"char_max is at least 0; found {char_max}")
        if not inverse_penalty > 0:
            raise ValueError(f"inverse_penalty is above 0; found {inverse_penalty}")
        check_care(careful_on, care)
        self.name = "tfidf"
        # It runs in our own process: no bill per call, the machine's hour is the serving layer's.
        self.usd_per_call: float | None = 0.0
        self.worst_usd_per_call: float | None = 0.0
        self._settings: dict[str, Any] = {
            "text_field": text_field,
            "word_max": word_max,
            "char_max": char_max,
            "inverse_penalty": inverse_penalty,
            "careful_on": careful_on,
            "care": care,
        }
        self._text_field = text_field
        self._ngrams = Ngrams(word_max=word_max, char_max=char_max)
        self._head: LinearHead | None = None
        self._content = ""

    @property
    def version(self) -> str:
        """Give a hash of the code's number, the settings and what was learnt."""
        return version_of(_CODE, self._settings, self._content)

    def blank(self) -> TfidfModel:
        """Give an unfitted copy with the same settings."""
        return TfidfModel(**self._settings)

    def fit(self, examples: Sequence[Example], *, seed: int) -> None:
        """Learn from the rows that have a label.

        Raises:
            DataError: There are fewer than two classes.
            RequestError: A row has no text.
        """
        rows, labels = labelled(examples, self.name)
        texts = texts_of([row.request for row in rows], self._text_field)
        self._ngrams.fit(texts)
        settings = self._settings
        self._head = fit_linear(
            self._ngrams.transform(texts),
            labels,
            inverse_penalty=float(settings["inverse_penalty"]),
            seed=seed,
        )
        if settings["careful_on"]:
            dear = labels_on(rows, settings["careful_on"], self.name)
            self._head = self._head.careful(dear, care=settings["care"])
        self._content = self._stored().content_hash

    def answer(self, batch: Sequence[Request]) -> list[Answer]:
        """Answer every request.

        Raises:
            TierError: It was never fitted.
            RequestError: A request has no text.
        """
        head = self._fitted()
        return head.answers(self._ngrams.transform(texts_of(batch, self._text_field)))

    def save(self, folder: Path) -> None:
        """Write what was learnt: JSON and plain arrays."""
        write_model(folder, self._stored())

    def load(self, folder: Path) -> None:
        """Read what `save` wrote, with the settings it was fitted with.

        Raises:
            ModelFileError: It is missing, damaged or another kind of model.
        """
        stored = read_model(folder, _FORMAT)
        try:
            fresh = TfidfModel(**stored.facts["settings"])
            fresh._ngrams.set(stored.facts["vocabulary"], stored.arrays["weights"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"the model in {folder} is not whole", found=str(error), attempt="fit it again"
            ) from error
        columns = len(fresh._ngrams.vocabulary)
        head = LinearHead.read(stored.facts, stored.arrays, columns)
        self._settings, self._text_field = fresh._settings, fresh._text_field
        self._ngrams, self._head = fresh._ngrams, head
        self._content = stored.content_hash

    def _fitted(self) -> LinearHead:
        if self._head is None:
            raise TierError(
                f"tier {self.name!r} was asked before it was fitted",
                attempt="fit(examples, seed=0) or load(folder) first",
            )
        return self._head

    def _stored(self) -> StoredModel:
        head = self._fitted()
        facts = {
            "settings": self._settings,
            "vocabulary": list(self._ngrams.vocabulary),
            **head.facts(),
        }
        weights = np.asarray(self._ngrams.weights)
        return StoredModel(_FORMAT, facts, {"weights": weights, **head.arrays()})
