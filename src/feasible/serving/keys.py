"""API keys: the service knows their SHA-256 only."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from typing import Final

from feasible.errors import BadInput

__all__ = ["KEYS_VARIABLE", "ApiKeys", "keys_from_environment"]

KEYS_VARIABLE: Final = "FEASIBLE_API_KEYS_SHA256"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class ApiKeys:
    """The keys that may call the service; without any, everybody may.

    Args:
        digests: SHA-256 of each key, 64 hexadecimal digits in lower case.
    """

    def __init__(self, digests: tuple[str, ...] = ()) -> None:
        self._digests = digests

    def __bool__(self) -> bool:
        """Claim that a key is needed."""
        return bool(self._digests)

    def allow(self, authorization: bytes | None) -> bool:
        """Claim that the value of an `Authorization` header carries one of the keys."""
        if not self._digests:
            return True
        scheme, _, key = (authorization or b"").partition(b" ")
        if scheme.lower() != b"bearer":
            return False
        digest = hashlib.sha256(key.strip()).hexdigest()
        # Every key is compared, so that the time taken tells nothing.
        return any([hmac.compare_digest(digest, known) for known in self._digests])  # noqa: C419


def keys_from_environment() -> ApiKeys:
    """Give the keys whose SHA-256 stand in FEASIBLE_API_KEYS_SHA256, separated by commas.

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
    return ApiKeys(digests)
