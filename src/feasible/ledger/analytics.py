"""SQL over an export with DuckDB, which comes with the extra `analytics`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from feasible.errors import BadInput, EngineMissing
from feasible.ledger.exporting import read_watermark

__all__ = ["query_export"]

_TABLES = ("decisions", "labels", "events")


def query_export(folder: Path, sql: str) -> list[dict[str, Any]]:
    """Give the rows of a query over the tables `decisions`, `labels` and `events` of an export.

    Args:
        folder: The export; only parts that its watermark names are read.
        sql: One query, as DuckDB understands it.

    Raises:
        BadInput: There is no export, or the query cannot be run.
        EngineMissing: DuckDB is not installed.
    """
    mark = read_watermark(folder)
    if mark is None:
        raise BadInput(
            f"there is no export in {folder}",
            asked="its watermark.json",
            attempt=f"feasible ledger export --ledger URL --to {folder}",
        )
    try:
        import duckdb
    except ImportError as error:
        raise EngineMissing(
            "queries over an export need DuckDB",
            attempt='pip install "feasible[analytics]"',
        ) from error
    with duckdb.connect(
        config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    ) as connection:
        try:
            for name in _TABLES:
                files = [str(folder / part) for part in mark.parts.get(name, [])]
                if files:
                    connection.read_parquet(files).create_view(name)
            asked = connection.sql(sql)
            found: pa.Table | None = None if asked is None else asked.to_arrow_table()
        except duckdb.Error as error:
            raise BadInput(
                "the query cannot be run",
                asked=sql,
                found=str(error).splitlines()[0],
                attempt="tables are decisions, labels and events; "
                "`DESCRIBE decisions` lists columns",
            ) from error
    rows: list[dict[str, Any]] = [] if found is None else found.to_pylist()
    return rows
