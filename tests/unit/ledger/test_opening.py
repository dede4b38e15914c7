from __future__ import annotations

from pathlib import Path

import pytest

from feasible.errors import BadInput, EngineMissing
from feasible.ledger.opening import ledger_path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///decisions.db", "decisions.db"),
        ("sqlite:///a folder/d.db", "a folder/d.db"),
        ("sqlite:////var/lib/d.db", "/var/lib/d.db"),
    ],
)
def test_three_slashes_are_relative_and_four_are_absolute(url: str, path: str) -> None:
    """As everywhere else where databases are named by URL."""
    assert ledger_path(url) == Path(path)


@pytest.mark.parametrize(
    ("url", "attempt"),
    [
        ("decisions.db", "sqlite:///decisions.db"),
        ("/var/lib/d.db", "sqlite:////var/lib/d.db"),
        ("sqlite://d.db", "sqlite:///d.db"),
        ("sqlite:///", "sqlite:///decisions.db"),
        ("sqlite:///d.db?mode=ro", "sqlite:///d.db"),
        ("sqlite:///:memory:", "name a file: sqlite:///decisions.db"),
        ("", "sqlite:///decisions.db"),
    ],
)
def test_a_url_that_is_none_is_answered_with_one_that_is(url: str, attempt: str) -> None:
    """The nearest valid URL is offered."""
    with pytest.raises(BadInput) as refused:
        ledger_path(url)
    assert refused.value.attempt == attempt


@pytest.mark.parametrize("engine", ["postgresql", "postgresql+psycopg", "mysql", "duckdb"])
def test_an_engine_that_is_not_there_is_named_without_its_password(engine: str) -> None:
    """Errors end in logs, where secrets may not."""
    with pytest.raises(EngineMissing) as refused:
        ledger_path(f"{engine}://me:hunter2@db.example/x")
    assert engine.split("+", maxsplit=1)[0] in str(refused.value)
    assert "hunter2" not in str(refused.value)
