"""The file of API keys: names, scopes and hashes, and who made and revoked each key when."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from feasible.clock import SystemClock
from feasible.errors import BadInput, nearest
from feasible.ledger import this_account

__all__ = [
    "KEYS_FILE_VARIABLE",
    "KEY_SCOPES",
    "Key",
    "KeyScope",
    "default_key_file",
    "new_key",
    "read_keys",
    "revoke_key",
]

KeyScope: TypeAlias = Literal["decide", "label", "review", "admin"]
KEY_SCOPES: Final[tuple[KeyScope, ...]] = ("decide", "label", "review", "admin")
KEYS_FILE_VARIABLE: Final = "FEASIBLE_KEYS_FILE"
_PREFIX: Final = "feasible_"
"""What a key begins with, so that whoever scans for lost secrets knows one."""
_KEY_BYTES: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_MOST_KEYS: Final = 1000
_LARGEST_FILE: Final = 1024 * 1024


class Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key: what it may do, and how it came and went."""

    name: str
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    """Of the key as it is sent, in hexadecimal digits."""
    scopes: tuple[KeyScope, ...]
    made_at: datetime
    made_by: str
    """Account of the machine that made it."""
    revoked_at: datetime | None = None
    """None while it holds."""
    revoked_by: str | None = None


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    feasible_keys: Literal[1]
    keys: tuple[Key, ...]


def default_key_file() -> Path:
    """Give the file named by FEASIBLE_KEYS_FILE, or `.feasible/keys.json` in this folder."""
    return Path(os.environ.get(KEYS_FILE_VARIABLE) or ".feasible/keys.json")


def read_keys(file: Path) -> tuple[Key, ...]:
    """Give every key of a file, those that were revoked too.

    Raises:
        BadInput: It is not there, is damaged, or others can read it.
    """
    try:
        with file.open("rb") as opened:
            _refuse_others(file, os.fstat(opened.fileno()).st_mode)
            text = opened.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise BadInput(
            f"the file of keys {str(file)!r} cannot be read",
            found=error.strerror or str(error),
            attempt="feasible keys new --scope decide --name NAME writes one",
        ) from error
    try:
        if len(text) > _LARGEST_FILE:
            raise msgspec.ValidationError(f"it has more than {_LARGEST_FILE:,} bytes")
        return msgspec.json.decode(text, type=_File).keys
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{str(file)!r} is no file of keys",
            found=str(error),
            attempt="let `feasible keys` write it",
        ) from error


def new_key(file: Path, *, name: str, scopes: Sequence[str]) -> str:
    """Make a key, write its hash, and give the key itself: nobody can read it again.

    Args:
        file: File of keys; it is made where there is none.
        name: What the key is called in lists, limits and the ledger.
        scopes: What it may do.

    Raises:
        BadInput: The name is taken or is none, a scope is unknown, or the file cannot be read or
            written.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name[:100]!r} cannot name a key",
            asked="letters, digits, dots, dashes and underscores, 64 at most",
            attempt="--name shop",
        )
    unknown = [scope for scope in scopes if scope not in KEY_SCOPES]
    if unknown or not scopes:
        close = nearest(unknown[0], KEY_SCOPES) if unknown else None
        raise BadInput(
            f"there is no scope {unknown[0][:100]!r}" if unknown else "a key needs a scope",
            asked=f"one or more of {', '.join(KEY_SCOPES)}",
            attempt=f"--scope {close or 'decide'}",
        )
    secret = _PREFIX + secrets.token_urlsafe(_KEY_BYTES)
    with _changing(file):
        keys = read_keys(file) if file.exists() else ()
        if any(key.name == name for key in keys):
            raise BadInput(
                f"there is a key {name!r} already",
                found="a name stays taken when its key is revoked, so that the ledger is clear",
                attempt=f"--name {name}-2",
            )
        if len(keys) >= _MOST_KEYS:
            raise BadInput(
                f"{str(file)!r} is full", found=f"{len(keys):,} keys", attempt="use another file"
            )
        made = Key(
            name=name,
            sha256=hashlib.sha256(secret.encode()).hexdigest(),
            scopes=tuple(scope for scope in KEY_SCOPES if scope in scopes),
            made_at=SystemClock().now(),
            made_by=this_account(),
        )
        _write(file, (*keys, made))
    return secret


def revoke_key(file: Path, name: str) -> Key:
    """Let a key hold no longer; it stays in the file, with when and by whom.

    Raises:
        BadInput: There is no such key, it was revoked before, or the file cannot be written.
    """
    with _changing(file):
        keys = read_keys(file)
        found = next((key for key in keys if key.name == name), None)
        if found is None:
            close = nearest(name, [key.name for key in keys])
            raise BadInput(
                f"no key {name[:100]!r} in {str(file)!r}",
                found=f"keys: {', '.join(key.name for key in keys) or 'none'}"[:500],
                attempt=f"`{close}`?" if close else "feasible keys list",
            )
        if found.revoked_at is not None:
            raise BadInput(
                f"the key {name!r} was revoked before",
                found=f"on {found.revoked_at:%Y-%m-%d %H:%M} UTC by {found.revoked_by}",
            )
        revoked = msgspec.structs.replace(
            found, revoked_at=SystemClock().now(), revoked_by=this_account()
        )
        _write(file, tuple(revoked if key.name == name else key for key in keys))
    return revoked


def _refuse_others(file: Path, mode: int) -> None:
    if mode & _OTHERS:
        raise BadInput(
            f"others can read the file of keys {str(file)!r}",
            asked="mode 600: its owner alone",
            found=f"mode {stat.S_IMODE(mode):o}",
            attempt=f"chmod 600 {file}; make new keys if somebody may have changed it",
        )


@contextmanager
def _changing(file: Path) -> Iterator[None]:
    """Let one process at a time change the file."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(file.with_name(f"{file.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unwritable(file, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _write(file: Path, keys: tuple[Key, ...]) -> None:
    """Replace the file by one that is whole and that its owner alone can read."""
    text = msgspec.json.format(msgspec.json.encode(_File(feasible_keys=1, keys=keys)), indent=2)
    draft = file.with_name(f"{file.name}.new")
    try:
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(text + b"\n")
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    except OSError as error:
        raise _unwritable(file, error) from error


def _unwritable(file: Path, error: OSError) -> BadInput:
    return BadInput(
        f"the file of keys {str(file)!r} cannot be written",
        found=error.strerror or str(error),
        attempt="name another with --file",
    )
