"""Logged outcomes of language models as a profile that `feasible plan --profile` reads.

    python -m bench.bfcl_to_profile bfcl.parquet [--all]

The rows are the data set `llm_bfcl_outcomes` in the folder that FEASIBLE_DATA_DIR names: answers of
hosted models to queries of the Berkeley Function-Calling Leaderboard, run of 2024-08-11, with their
correctness, price and wall-clock latency. What was not logged stays unknown. With `--all` every
model of the log is a tier, else the four of `MODELS`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

__all__ = ["MODELS", "bfcl_folder", "bfcl_table"]

MODELS = {
    "claude-3-haiku": "claude-3-haiku-20240307",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "claude-3.5-sonnet": "claude-3-5-sonnet-20240620",
    "gpt-4": "gpt-4-0613",
}
"""Tier -> model in the log: two small and two large ones of two vendors."""


def bfcl_folder() -> Path | None:
    """Give the folder of the data set, or None when there is none on this machine."""
    root = os.environ.get("FEASIBLE_DATA_DIR")
    folder = Path(root) / "llm_bfcl_outcomes" if root else None
    return folder if folder is not None and (folder / "outcomes.parquet").is_file() else None


def bfcl_table(folder: Path, models: dict[str, str], *, category: bool = False) -> pa.Table:
    """Give the profile: one line per query and model.

    Args:
        folder: Folder of the data set.
        models: Tier -> model in the log.
        category: Whether the text starts with the query's category, as `[category] question`.

    Returns:
        Columns row_id, tier, loss (0 right, 1 wrong), latency_ms, cost_usd, text, and a boolean
        `slice:CATEGORY` for each of the leaderboard's categories.
    """
    log = pq.read_table(folder / "outcomes.parquet")
    log = log.filter(pc.is_in(log["model"], pa.array(list(models.values()))))
    log = log.sort_by([("query_id", "ascending"), ("model", "ascending")])
    asked = pcsv.read_csv(folder / "queries.csv.gz")
    text = dict(zip(asked["query_id"].to_pylist(), asked["question"].to_pylist(), strict=True))
    queries, categories = log["query_id"].to_pylist(), log["category"].to_pylist()
    asks = [text.get(query) for query in queries]
    if category:
        asks = [f"[{c}] {question or ''}" for c, question in zip(categories, asks, strict=True)]
    tier_of = {model: tier for tier, model in models.items()}
    columns = {
        "row_id": log["query_id"],
        "tier": pa.array([tier_of[model] for model in log["model"].to_pylist()]),
        "loss": pc.subtract(1.0, pc.cast(log["correct"], pa.float64())),
        "latency_ms": pc.multiply(pc.cast(log["latency_s"], pa.float64()), 1000.0),
        "cost_usd": log["cost_usd"],
        "text": pa.array(asks),
    }
    for name in sorted(set(categories)):
        columns[f"slice:{name}"] = pc.equal(log["category"], name)
    return pa.table(columns)


def main(argv: Sequence[str]) -> int:
    """Write the profile to the file that is named."""
    folder = bfcl_folder()
    if len(argv) not in {1, 2} or argv[1:] not in ([], ["--all"]) or folder is None:
        print("usage: FEASIBLE_DATA_DIR=DIR python -m bench.bfcl_to_profile OUT.parquet [--all]")
        return 2
    models = _every_model(folder) if argv[1:] else MODELS
    profile = bfcl_table(folder, models)
    pq.write_table(profile, argv[0])
    print(f"{argv[0]}: {profile.num_rows:,} lines, tiers {', '.join(models)}")
    return 0


def _every_model(folder: Path) -> dict[str, str]:
    names = pq.read_table(folder / "outcomes.parquet", columns=["model"])["model"]
    return {name: name for name in sorted(pc.unique(names).to_pylist())}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
