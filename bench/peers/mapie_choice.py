"""MAPIE's risk control over a list of candidates (Taquet et al.; PyPI `mapie`, BSD-3-Clause).

MAPIE is optional: `pip install mapie`, or the dependency group `bench`. It certifies candidates by
Hoeffding-Bentkus p-values and, by default, Holm's correction over them, and then takes the one that
does best in the first risk: it knows no price. So the cheapest of what it holds valid is given too.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feasible.schema import FloatArray, IntArray

__all__ = ["MapieChoice", "has_mapie", "mapie_choice"]


@dataclass(frozen=True)
class MapieChoice:
    """What MAPIE made of a list of candidates.

    Attributes:
        valid: Numbers of the candidates whose risks are controlled.
        own: The one it would deploy; None without a valid one.
    """

    valid: tuple[int, ...]
    own: int | None


def has_mapie() -> bool:
    """Claim that MAPIE is installed."""
    return importlib.util.find_spec("mapie") is not None


def mapie_choice(
    predicted: IntArray,
    truth: IntArray,
    floors: dict[str, float],
    *,
    confidence_level: float,
    learn: tuple[IntArray, IntArray] | None = None,
) -> MapieChoice:
    """Let MAPIE control risks over candidates.

    Args:
        predicted: shape (n_rows, n_candidates). 0 or 1.
        truth: shape (n_rows,). 0 or 1.
        floors: `recall` or `accuracy` -> least value.
        confidence_level: Of the statement that all of them hold.
        learn: The same two arrays for other rows, from which MAPIE learns an order to test in;
            Holm's correction, its default, without them.
    """
    from mapie.risk_control import BinaryClassificationController  # noqa: PLC0415  optional

    tables = [predicted] if learn is None else [predicted, learn[0]]
    now: list[IntArray] = [tables[0]]

    def answer(rows: IntArray, candidate: float) -> FloatArray:
        return np.asarray(now[0][np.ravel(rows), int(candidate)])

    several = len(floors) > 1
    controller = BinaryClassificationController(
        predict_function=answer,
        risk=list(floors) if several else next(iter(floors)),
        target_level=list(floors.values()) if several else next(iter(floors.values())),
        confidence_level=confidence_level,
        list_predict_params=np.arange(predicted.shape[1])[:, None],
        fwer_method="bonferroni_holm" if learn is None else "split_fixed_sequence",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns when no candidate is valid, which is an answer
        if learn is not None:
            now[0] = learn[0]
            controller.learn_fixed_sequence_order(np.arange(len(learn[1]))[:, None], learn[1])
            now[0] = predicted
        controller.calibrate(np.arange(len(truth))[:, None], truth)
    best = controller.best_predict_param
    return MapieChoice(
        _numbers(controller.valid_predict_params), None if best is None else int(best[0])
    )


def _numbers(params: Sequence[Sequence[float]]) -> tuple[int, ...]:
    return tuple(int(one[0]) for one in params)
