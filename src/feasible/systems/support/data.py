"""Rows of the support system: the project's own corpus by default, public data sets on request.

The corpus was written by this project: it is synthetic, and every report says so. Its split is
fixed by a hash of the text, so that the test rows stay the test rows when lines are added.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from feasible.errors import DataError
from feasible.schema import DataSet, Example
from feasible.systems.datasets import dataset_file

__all__ = ["HIGH_RISK", "OUT_OF_SCOPE", "examples", "slices"]

OUT_OF_SCOPE: Final = "out_of_scope"
"""Label of a question that no intent covers: the right thing is to hand it to a person."""

HIGH_RISK: Final[dict[str, frozenset[str]]] = {
    "corpus": frozenset(
        {
            "payout_missing",
            "unauthorised_payout",
            "account_takeover",
            "phishing_report",
            "card_testing_attack",
            "leaked_api_key",
            "stolen_card_reader",
            "customer_data_exposed",
        }
    ),
    "banking77": frozenset(
        {
            "compromised_card",
            "lost_or_stolen_card",
            "lost_or_stolen_phone",
            "card_payment_not_recognised",
            "cash_withdrawal_not_recognised",
            "direct_debit_payment_not_recognised",
        }
    ),
    "clinc150": frozenset(
        {"report_fraud", "report_lost_card", "freeze_account", "account_blocked", "pin_change"}
    ),
}
"""Intents where a wrong answer costs a customer money or their account, fixed before any result."""

_TEST_SHARE: Final = 0.4
_ALL_HIGH_RISK: Final = frozenset[str]().union(*HIGH_RISK.values())
_CORPUS: Final = Path(__file__).with_name("corpus")


def examples(data: str | None = None) -> DataSet:
    """Give the labelled rows.

    Args:
        data: None for the project's corpus, or `banking77` or `clinc150` from the data registry.

    Raises:
        DataError: The data set is unknown, absent or damaged.
    """
    if data is None:
        return DataSet(
            name="support corpus",
            examples=list(_corpus_rows()),
            synthetic=True,
            origin="43 merchant intents written by this project, not collected from users",
        )
    if data == "banking77":
        return DataSet(
            name="BANKING77",
            examples=list(_banking77_rows()),
            synthetic=False,
            origin="Casanueva et al. 2020, CC BY 4.0; published test split",
        )
    if data == "clinc150":
        return DataSet(
            name="CLINC150",
            examples=list(_clinc150_rows()),
            synthetic=False,
            origin="Larson et al. 2019, CC BY 3.0; published test split",
        )
    raise DataError(
        f"the support system has no data set {data!r}",
        found="known: banking77, clinc150, or none for the project's corpus",
    )


def slices(label: str | None) -> frozenset[str]:
    """Give the slices that a row belongs to once its label is known."""
    if label is None:
        return frozenset()
    if label == OUT_OF_SCOPE:
        return frozenset({"out_of_scope"})
    return frozenset({"in_scope", "high_risk"} if label in _ALL_HIGH_RISK else {"in_scope"})


def _row(row_id: str, text: str, label: str, split: Literal["train", "test"]) -> Example:
    return Example(row_id, {"text": text}, label=label, slices=slices(label), split=split)


def _corpus_rows() -> Iterator[Example]:
    for path in sorted(_CORPUS.glob("*.txt")):
        label = ""
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if line.startswith("# "):
                label = line.removeprefix("# ").strip()
            elif line.strip():
                yield _row(f"{path.stem}:{number}", line.strip(), label, _split(line.strip()))


def _split(text: str) -> Literal["train", "test"]:
    """Choose a side by the text alone, so that the choice never depends on other rows."""
    digest = hashlib.sha256(text.encode()).digest()
    return "test" if int.from_bytes(digest[:8], "big") / 2**64 < _TEST_SHARE else "train"


def _banking77_rows() -> Iterator[Example]:
    for split in ("train", "test"):
        for index, row in enumerate(_csv(dataset_file("banking77", f"{split}.csv.gz"))):
            yield _row(f"{split}:{index}", row["text"], row["category"], split)


def _clinc150_rows() -> Iterator[Example]:
    for index, row in enumerate(_csv(dataset_file("clinc150", "clinc150.csv.gz"))):
        is_oos = row["intent"] == "oos"
        label = OUT_OF_SCOPE if is_oos else row["intent"]
        yield _row(str(index), row["text"], label, "test" if row["split"] == "test" else "train")


def _csv(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
