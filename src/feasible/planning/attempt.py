"""From SEARCH rows to a certificate on CERT rows: one attempt to keep one brief.

The planner makes one attempt for the brief as it is. Where that fails, relaxations are found by
attempts for briefs that promise a little less, on the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from feasible.planning.candidates import Candidate
from feasible.planning.certify import Judged, certify, certify_in_part
from feasible.planning.chain import Ingredients
from feasible.planning.depth import shallowest
from feasible.planning.evidence import rows_to_judge
from feasible.planning.mean_tests import mean_tests_for
from feasible.planning.search import search
from feasible.planning.sequence import sequence_of
from feasible.planning.sheet import Sheet

__all__ = ["Attempt", "Rows", "attempt"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Three sets of rows, each with what does not depend on the policy.

    Attributes:
        fit: What scores were fitted on; `search` itself where both are the same rows.
        search: What thresholds are placed on.
        cert: What judges, once.
    """

    fit: Sheet
    search: Sheet
    cert: Sheet

    def under(self, kit: Ingredients) -> Rows:
        """Give the same rows under another brief."""
        search = self.search.under(kit)
        fit = search if self.fit is self.search else self.fit.under(kit)
        return Rows(fit, search, self.cert.under(kit))


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was found, in which order it was tested, and what the test said.

    Attributes:
        candidates: Everything that the search found.
        sequence: The order in which candidates were to be tested.
        judged: Those that passed, in order, and the one that failed, if any, last.
        partial: Where none passed, the candidate that keeps what the first one kept; None when that
            is nothing.
    """

    candidates: list[Candidate]
    sequence: list[Candidate]
    judged: tuple[Judged, ...]
    partial: Judged | None

    @property
    def passed(self) -> list[Judged]:
        """Give the candidates that keep every promise, from the surest to the cheapest."""
        return [one for one in self.judged if one.passed]

    @property
    def chosen(self) -> Judged:
        """Give the cheapest candidate that passed, else the closest there is."""
        return self.passed[-1] if self.passed else self.partial or self.judged[0]


def attempt(
    kit: Ingredients,
    rows: Rows,
    *,
    too_few: Mapping[str, int],
    progress: Callable[[int, int], None] | None = None,
) -> Attempt:
    """Search, order, and certify.

    Args:
        kit: What plans can be made of, with the brief to keep.
        rows: The rows, under that brief.
        too_few: Promises that the rows are too few to show.
        progress: Told chains done and chains in all.
    """
    n_cert = len(rows.cert)
    candidates = search(kit, rows.search, n_cert=n_cert, progress=progress)
    sequence = sequence_of(
        candidates,
        rows.search,
        rows.fit,
        n_cert=n_cert,
        judging=rows_to_judge(kit.brief, rows.cert.profile, rows.cert.labelled),
        apart=too_few,
    )
    sequence = shallowest(sequence, candidates, rows.search)
    tests = mean_tests_for(sequence, rows.search, n_cert=n_cert)
    judged = certify(sequence, rows.cert, tests)
    is_shown = any(one.passed for one in judged)
    partial = None if is_shown else certify_in_part(sequence, rows.cert, tests)
    return Attempt(candidates, sequence, judged, partial)
