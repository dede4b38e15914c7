"""How uneven traffic is, and the bursts that are as uneven: fitted, where nobody recorded them.

Traffic of language models is never Poisson only. Where a brief says how much comes on average, and
nothing of how, it gets the unevenness of a service that was recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import minimize

from feasible.schema import FloatArray

__all__ = ["CHAT", "CODE", "WINDOWS_S", "Unevenness", "dispersion", "unevenness_of"]

WINDOWS_S: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0)


@dataclass(frozen=True, slots=True)
class Unevenness:
    """How much a rate of arrivals changes, and how fast.

    Attributes:
        variation: Variance of the rate over its squared mean; 0: it never changes.
        relaxes_s: Time after which a burst is mostly forgotten. Seconds.
    """

    variation: float
    relaxes_s: float

    def bursts(self, peak: float) -> tuple[float, float]:
        """Give the share of the time that is burst, and the mean length of one, for some peak.

        Where a peak is too low for so much variation there is no traffic but in bursts.

        Args:
            peak: Rate in a burst over the mean rate, above 1.

        Examples:
            >>> Unevenness(4.0, 6.0).bursts(5.0)
            (0.2, 7.5)
        """
        share = min(self.variation / (self.variation + (peak - 1) ** 2), 1 / peak)
        return share, self.relaxes_s / (1 - share)


CHAT: Final = Unevenness(0.054, 168.0)
CODE: Final = Unevenness(4.4, 8.8)
"""Two language model services of one company, an hour each, fitted by `unevenness_of`: a chat whose
rate wanders slowly, and an assistant for code that is used in bursts. Recorded by Patel et al.
(2024), Splitwise, ISCA; data Azure/AzurePublicDataset, CC BY 4.0."""


def dispersion(at_s: FloatArray, window_s: float) -> float:
    """Give the variance over the mean of how many come in a window; 1 for Poisson arrivals.

    Args:
        at_s: When requests came, rising, shape (n,). Seconds.
        window_s: Length of the window. Seconds.

    Raises:
        ValueError: The times span fewer than two windows.
    """
    span = float(at_s[-1] - at_s[0])
    if span < 2 * window_s:
        raise ValueError(f"{span:g} s have fewer than two windows of {window_s:g} s")
    counts, _ = np.histogram(at_s - at_s[0], np.arange(0.0, span, window_s))
    return float(counts.var(ddof=1) / counts.mean())


def unevenness_of(at_s: FloatArray, *, windows_s: tuple[float, ...] = WINDOWS_S) -> Unevenness:
    """Fit a rate that switches between calm and burst to recorded arrivals, by their dispersion.

    Args:
        at_s: When requests came, rising, shape (n,). Seconds.
        windows_s: Windows whose dispersion is to be met. Seconds.

    Source:
        Fischer and Meier-Hellstern (1993), Performance Evaluation 18(2), the index of dispersion of
        a Markov-modulated Poisson process of two states.
    """
    windows = np.array(windows_s)
    rate = (len(at_s) - 1) / float(at_s[-1] - at_s[0])
    seen = np.log([dispersion(at_s, window) for window in windows_s])

    def loss(guess: FloatArray) -> float:
        variation, relaxes_s = np.exp(guess)
        part = windows / relaxes_s
        grown = 2 * variation * rate * relaxes_s * (1 + np.expm1(-part) / part)
        return float(((np.log1p(grown) - seen) ** 2).sum())

    options = {"maxiter": 4000, "fatol": 1e-9}
    starts = [np.log([variation, lasts]) for variation in (0.1, 2.0) for lasts in (3.0, 100.0)]
    found = [minimize(loss, start, method="Nelder-Mead", options=options) for start in starts]
    variation, relaxes_s = np.exp(min(found, key=lambda one: float(one.fun)).x)
    return Unevenness(float(variation), float(relaxes_s))
