"""Writing a new feature folder, with sample rows taken from the support corpus."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Final

from feasible.errors import FeatureError
from feasible.systems.support.data import examples

__all__ = ["write_starter"]

_TEAMS: Final[dict[str, str]] = {
    "account_takeover": "security",
    "phishing_report": "security",
    "leaked_api_key": "security",
    "payout_status": "payouts",
    "payout_failed": "payouts",
    "payout_schedule_change": "payouts",
    "card_reader_setup": "hardware",
    "card_reader_not_connecting": "hardware",
    "card_reader_order": "hardware",
    "refund_customer": "refunds",
    "refund_status": "refunds",
    "duplicate_charge": "refunds",
}
"""Which team of the sample feature answers which intent of the corpus."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*$")
_TEMPLATE: Final = Path(__file__).parent
_FILES: Final = ("brief.yaml", "tiers.py", "data.py", "README.md")


def write_starter(folder: Path) -> Path:
    """Write a runnable feature folder and give its path.

    Raises:
        FeatureError: The folder is there already, cannot be made, or its name is no name.
    """
    if not _NAME.match(folder.name):
        raise FeatureError(
            f"{folder.name!r} is not a name for a feature",
            asked="letters, digits, - and _, starting with a letter",
            attempt="feasible new my-feature",
        )
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise FeatureError(
            f"{folder} is there already", attempt="choose another name; nothing was changed"
        ) from error
    except OSError as error:
        raise FeatureError(f"{folder} cannot be made", found=str(error)) from error
    for name in _FILES:
        text = (_TEMPLATE / f"{name}.txt").read_text(encoding="utf-8")
        (folder / name).write_text(text.replace("@NAME@", folder.name), encoding="utf-8")
    (folder / "rows.csv").write_text(_sample_rows(), encoding="utf-8")
    return folder


def _sample_rows() -> str:
    """Give the sample rows as CSV: text, team, split."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["text", "team", "split"])
    for row in examples().examples:
        if row.label in _TEAMS:
            writer.writerow([row.request["text"], _TEAMS[row.label], row.split])
    return stream.getvalue()
