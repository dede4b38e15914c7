"""Who may come in, for what, and how often."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from feasible.errors import BadInput
from feasible.serving.key_file import Key, KeyScope
from feasible.serving.keys import ApiKeys
from feasible.serving.problems import FORBIDDEN, TOO_MANY, UNAUTHORIZED, Refused
from feasible.serving.rates import Buckets, Taken

__all__ = ["ANYBODY", "ANY_KEY", "Gate", "Headers", "Pass"]

Headers = Sequence[tuple[bytes, bytes]]

ANYBODY: Final[frozenset[KeyScope]] = frozenset()
"""For addresses that need no key."""
ANY_KEY: Final[frozenset[KeyScope]] = frozenset({"decide", "label", "review", "admin"})
_WRONG_PER_S: Final = 0.5
_WRONG_AT_ONCE: Final = 20
"""Wrong keys from one address: so many at once, then one every two seconds."""
_MOST_KNOWN: Final = 4096
_LOG: Final = logging.getLogger(__name__)


class Pass:
    """Whoever was let in.

    Attributes:
        name: Name of the key, or the address where no key is needed.
        headers: What the answer tells about the rate.
    """

    __slots__ = ("headers", "name")

    def __init__(self, name: str, headers: Headers = ()) -> None:
        self.name = name
        self.headers = headers


class Gate:
    """Looks at each request's key, scope and rate, before anything of it is read.

    Args:
        keys: The keys.
        rate_per_s: Requests that one key may send each second, or one address where no key is
            needed; None for as many as it likes.
        shared: Beginning of the names of files in which worker processes share how often somebody
            came; None for one process.

    Attributes:
        has_keys: A key is needed.
        is_open: Nobody is asked for anything.
    """

    def __init__(
        self, keys: ApiKeys, *, rate_per_s: float | None = None, shared: Path | None = None
    ) -> None:
        self._keys = keys
        self._rate = (
            None if rate_per_s is None else Buckets(per_s=rate_per_s, file=_beside(shared, "rates"))
        )
        self._wrong = (
            Buckets(per_s=_WRONG_PER_S, size=_WRONG_AT_ONCE, file=_beside(shared, "wrong"))
            if keys
            else None
        )
        # Addresses from which a good key came: a neighbour's guessing does not shut them out.
        self._known: dict[tuple[str, str], None] = {}
        self.has_keys = bool(keys)
        self.is_open = not keys and rate_per_s is None
        self._unrecorded: tuple[Key, ...] = _of_file(keys)

    def admit(
        self, authorization: bytes | None, address: str, needs: frozenset[KeyScope], now_s: float
    ) -> Pass:
        """Let a request in.

        Args:
            authorization: Value of its `Authorization` header.
            address: Where it comes from.
            needs: Scopes of which its key needs one.
            now_s: Monotonic time.

        Raises:
            Refused: It has no key (401), one for something else (403), or came too often (429).
        """
        if not needs:
            return Pass(address)
        if not self._keys:
            return self.charge(address, now_s)
        key = self._found(authorization, address, now_s)
        if needs.isdisjoint(key.scopes):
            raise _wrong_scope(key, needs)
        return self.charge(key.name, now_s)

    @staticmethod
    def check_without_keys(headers: Mapping[bytes, bytes], needs: frozenset[KeyScope]) -> None:
        """Refuse what nobody may do even where nobody needs a key.

        A page of any site can make a browser send requests to this machine, where a service
        without keys trusts whoever reaches it; browsers say in `Origin` for which page they ask.

        Args:
            headers: Those of the request.
            needs: Scopes of which it would need one.

        Raises:
            Refused: It changes the service, or a page of another site sent it (403).
        """
        if needs == {"admin"}:
            raise Refused(
                "changing the service over HTTP needs a key, and none is declared",
                status=FORBIDDEN,
                asked="admin",
                attempt="feasible keys new --scope admin --name NAME, then start with --keys",
            )
        origin = headers.get(b"origin")
        host = headers.get(b"host", b"")
        if needs and origin is not None and origin.partition(b"://")[2] != host:
            raise Refused(
                "a page of another site asks, and this service has no keys",
                status=FORBIDDEN,
                found=repr(origin[:100].decode("latin-1")),
                attempt="ask from a server, or declare keys: feasible keys new",
            )

    def changed_keys(self) -> tuple[Key, ...]:
        """Give the keys of the file when it has changed since somebody last asked."""
        keys, self._unrecorded = self._unrecorded, ()
        return keys

    def charge(self, name: str, now_s: float) -> Pass:
        """Count one request of somebody.

        Raises:
            Refused: It is one too many (429).
        """
        if self._rate is None:
            return Pass(name)
        taken = self._rate.take(name.encode(), now_s)
        headers = _told(self._rate, taken)
        if taken.wait_s > 0:
            raise Refused(
                f"this {'key' if self._keys else 'address'} asks too often",
                status=TOO_MANY,
                asked=f"at most {self._rate.per_s:g} requests a second",
                attempt=f"send it again in {taken.wait_s:.3g} s",
                retry_after_s=taken.wait_s,
                headers=headers,
            )
        return Pass(name, headers)

    def _found(self, authorization: bytes | None, address: str, now_s: float) -> Key:
        """Give the key that came."""
        self._look_again(now_s)
        key = self._keys.find(authorization)
        assert self._wrong is not None  # noqa: S101  there are keys
        if key is None:
            taken = self._wrong.take(address.encode(), now_s)
            if taken.wait_s > 0:
                raise _guessing(taken.wait_s)
            raise Refused(
                "this service needs an API key",
                status=UNAUTHORIZED,
                found="no key" if authorization is None else "a key that does not hold here",
                attempt="Authorization: Bearer KEY",
                headers=((b"www-authenticate", b"Bearer"),),
            )
        known = (address, key.name)
        if known not in self._known:
            # Whoever guesses learns nothing from a key that fits, until the guessing has slowed.
            if self._wrong.left(address.encode(), now_s) < 1:
                raise _guessing(1 / _WRONG_PER_S)
            if len(self._known) >= _MOST_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[known] = None
        return key

    def _look_again(self, now_s: float) -> None:
        """Take the file of keys as it is now; a bad one changes nothing."""
        try:
            if self._keys.look_again(now_s):
                self._known.clear()
                self._unrecorded = _of_file(self._keys)
        except BadInput as error:
            _LOG.error("the keys of before hold on: %s", error)


def _of_file(keys: ApiKeys) -> tuple[Key, ...]:
    """Give the keys whose coming and going is known; the environment's are just there."""
    return keys.all if keys.has_file else ()


def _wrong_scope(key: Key, needs: frozenset[KeyScope]) -> Refused:
    wanted = sorted(needs)
    return Refused(
        f"this address needs a key with the scope {' or '.join(f'`{one}`' for one in wanted)}",
        status=FORBIDDEN,
        asked=" or ".join(wanted),
        found=f"the key {key.name!r} has {', '.join(key.scopes)}",
        attempt=f"feasible keys new --scope {wanted[0]} --name NAME",
    )


def _guessing(wait_s: float) -> Refused:
    return Refused(
        "too many wrong keys came from this address",
        status=TOO_MANY,
        asked=f"at most {_WRONG_AT_ONCE} at once, then {_WRONG_PER_S:g} a second",
        attempt=f"send it again in {wait_s:.3g} s, with a key that holds",
        retry_after_s=wait_s,
    )


def _told(buckets: Buckets, taken: Taken) -> Headers:
    """Give the headers of draft-ietf-httpapi-ratelimit-headers."""
    window_s = max(1, math.ceil(buckets.size / buckets.per_s))
    reset_s = math.ceil(max(taken.full_in_s, taken.wait_s))
    return (
        (b"ratelimit-policy", b'"key";q=%d;w=%d' % (buckets.size, window_s)),
        (b"ratelimit", b'"key";r=%d;t=%d' % (taken.left, reset_s)),
    )


def _beside(shared: Path | None, what: str) -> Path | None:
    return None if shared is None else shared.with_name(f"{shared.name}.{what}")
