"""What becomes of a label: new, there already, of no decision, or under an id that is taken."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from feasible.ledger.base import LabelOutcome
from feasible.ledger.tables import Row

__all__ = ["LabelJudge"]


class LabelJudge:
    """Compares labels with what is in the ledger.

    Args:
        connection: Reads the ledger, inside the transaction that will write.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def judge(self, rows: Sequence[Row]) -> tuple[list[LabelOutcome], list[Row]]:
        """Say what becomes of each label of one call, and give those to store."""
        outcomes: list[LabelOutcome] = []
        stored: list[Row] = []
        contents: set[Row] = set()
        by_id: dict[str, Row] = {}
        for row in rows:
            outcome = self._outcome(row, by_id)
            if outcome == "stored" and _content(row) in contents:
                outcome = "duplicate"
            outcomes.append(outcome)
            if outcome == "stored":
                stored.append(row)
                contents.add(_content(row))
                if row[5] is not None:
                    by_id[row[5]] = row
        return outcomes, stored

    def _outcome(self, row: Row, by_id: Mapping[str, Row]) -> LabelOutcome:
        """Compare a label with what is there, and with those of its call that have an id."""
        decision_id, label_id = row[0], row[5]
        if label_id is not None:
            same_id = (
                by_id.get(label_id)
                or self._connection.execute(
                    "SELECT decision_id, source, selection, known_at_us, received_at_us, label_id, "
                    "reviewer, body FROM labels WHERE label_id = ?",
                    (label_id,),
                ).fetchone()
            )
            if same_id:
                return "duplicate" if _content(same_id) == _content(row) else "conflict"
        execute = self._connection.execute
        if not execute("SELECT 1 FROM decisions WHERE decision_id = ?", (decision_id,)).fetchone():
            return "unknown_decision"
        same = execute(
            "SELECT 1 FROM labels WHERE decision_id = ? AND source = ? AND known_at_us = ? "
            "AND body = ?",
            _content(row),
        ).fetchone()
        return "duplicate" if same else "stored"


def _content(row: Row) -> Row:
    """Give what makes two labels the same: decision, source, when it was known, and the value."""
    return row[0], row[1], row[3], row[7]
