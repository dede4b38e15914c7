"""API keys: each has a name and scopes, and the service knows its SHA-256 only."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import time
from pathlib import Path
from typing import Final

from feasible.clock import SystemClock
from feasible.errors import BadInput
from feasible.serving.key_file import Key, KeyScope, read_keys

__all__ = [
    "KEYS_VARIABLE",
    "ApiKeys",
    "keys_from_environment",
    "keys_from_file",
]

KEYS_VARIABLE: Final = "FEASIBLE_API_KEYS_SHA256"
_OLD_SCOPES: Final[tuple[KeyScope, ...]] = ("decide", "label", "review")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_LOOK_EVERY_S: Final = 1.0
_LONGEST_KEY: Final = 512


class ApiKeys:
    """The keys that may call the service; where none was ever declared, everybody may.

    Args:
        keys: The keys that hold.
        file: Where they stand; it is looked at again once a second, so that a key that is made or
            revoked counts without a restart. None when they stand nowhere else.
    """

    def __init__(self, keys: tuple[Key, ...] = (), *, file: Path | None = None) -> None:
        self._keys = keys
        self._file = file
        self._mark = None if file is None else _mark(file)
        self._looked_s = time.monotonic()

    def __bool__(self) -> bool:
        """Claim that a key is needed; a file whose last key was revoked lets nobody in."""
        return bool(self._keys) or self._file is not None

    @property
    def has_file(self) -> bool:
        """Claim that the keys stand in a file, with when each was made."""
        return self._file is not None

    @property
    def all(self) -> tuple[Key, ...]:
        """Give every key, those that were revoked too."""
        return self._keys

    def find(self, authorization: bytes | None) -> Key | None:
        """Give the key that the value of an `Authorization` header carries, if it holds."""
        scheme, _, sent = (authorization or b"").partition(b" ")
        if scheme.lower() != b"bearer" or len(sent) > _LONGEST_KEY:
            return None
        digest = hashlib.sha256(sent.strip()).hexdigest()
        found = None
        for key in self._keys:  # every one, so that the time taken tells nothing
            if hmac.compare_digest(digest, key.sha256) and key.revoked_at is None:
                found = key
        return found

    def look_again(self, now_s: float) -> bool:
        """Read the file again when it has changed; claims that it had.

        Args:
            now_s: Monotonic time. The file is looked at once a second at most.

        Raises:
            BadInput: It cannot be read, or others can read it; the keys of before hold on.
        """
        if self._file is None or now_s - self._looked_s < _LOOK_EVERY_S:
            return False
        self._looked_s = now_s
        mark = _mark(self._file)
        if mark == self._mark:
            return False
        self._mark = mark  # whatever becomes of it: one complaint for each change
        self._keys = read_keys(self._file)
        return True


def keys_from_environment() -> ApiKeys:
    """Give the keys whose SHA-256 stand in FEASIBLE_API_KEYS_SHA256, separated by commas.

    They may decide, label and review. Their names are `environment-1` and so on.

    Raises:
        BadInput: One of them is not a SHA-256.
    """
    found = [part.strip() for part in os.environ.get(KEYS_VARIABLE, "").split(",")]
    digests = tuple(part for part in found if part)
    for position, digest in enumerate(digests, start=1):
        if not _DIGEST.fullmatch(digest):
            raise BadInput(
                f"{KEYS_VARIABLE}: entry {position} is not a SHA-256",
                asked="64 hexadecimal digits in lower case, one per key, separated by commas",
                found=f"{len(digest)} characters",  # never the text: it may be the key itself
                attempt='printf %s "$KEY" | sha256sum',
            )
    now = SystemClock().now()
    return ApiKeys(
        tuple(
            Key(
                name=f"environment-{position}",
                sha256=digest,
                scopes=_OLD_SCOPES,
                made_at=now,
                made_by="environment",
            )
            for position, digest in enumerate(digests, start=1)
        )
    )


def keys_from_file(file: Path) -> ApiKeys:
    """Give the keys of a file that `feasible keys new` wrote.

    Raises:
        BadInput: It is not there, is damaged, or others can read it.
    """
    return ApiKeys(read_keys(file), file=file)


def _mark(file: Path) -> tuple[int, int, int] | None:
    """Give what changes when a file does; None when it is not there."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_mode
