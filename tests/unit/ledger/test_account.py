"""Who goes on record."""

from __future__ import annotations

import os
import pwd

import pytest

from feasible.ledger import this_account


def test_nobody_goes_on_record_as_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says of the user counts for nothing."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")

    assert this_account() == pwd.getpwuid(os.getuid()).pw_name
