from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from feasible.tiers.ngrams import Ngrams

FIT = [
    "Where is my card?",
    "my card  card was lost",
    "I want a refund",
    "refund my refund, now!",
    "Was ist mit der Größe?",
    "a",
]
WORD = r"\w+"
ASK = [*FIT, "", "zzz", "the CARD refund of my größe\n\tnow", "I I I"]


@pytest.mark.parametrize("char_max", [2, 4, 5])
def test_the_features_are_those_of_scikit_learn(char_max: int) -> None:
    """An independent implementation gives the same numbers in the same columns."""
    mine = Ngrams(word_max=2, char_max=char_max, min_rows=2)
    mine.fit(FIT)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORD)
    chars = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, char_max), sublinear_tf=True, min_df=2
    )
    theirs = sparse.hstack([words.fit(FIT).transform(ASK), chars.fit(FIT).transform(ASK)]).toarray()
    assert np.allclose(mine.transform(ASK).toarray(), theirs, atol=1e-6)


def test_a_text_without_a_known_ngram_is_a_row_of_zeros() -> None:
    """It does not divide by its length of 0."""
    ngrams = Ngrams()
    ngrams.fit(FIT)
    assert ngrams.transform(["", "zzz"]).nnz == 0
    assert ngrams.transform([]).shape == (0, len(ngrams.vocabulary))


def test_columns_given_back_give_the_same_features() -> None:
    """What is stored is enough."""
    ngrams, copy = Ngrams(), Ngrams()
    ngrams.fit(FIT)
    copy.set(list(ngrams.vocabulary), ngrams.weights)
    assert (ngrams.transform(ASK) != copy.transform(ASK)).nnz == 0
