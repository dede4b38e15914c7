from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from feasible.errors import BadInput
from feasible.serving.gate import ANY_KEY, ANYBODY, Gate
from feasible.serving.key_file import KeyScope, new_key, read_keys, revoke_key
from feasible.serving.keys import ApiKeys, keys_from_environment, keys_from_file
from feasible.serving.problems import Refused
from feasible.serving.rates import Buckets, rate_of

DECIDE: frozenset[KeyScope] = frozenset({"decide"})
LABEL: frozenset[KeyScope] = frozenset({"label"})


def bearer(key: str) -> bytes:
    """Give the header that carries a key."""
    return f"Bearer {key}".encode()


def refused(gate: Gate, key: str | None, needs: frozenset[KeyScope], now_s: float = 0.0) -> Refused:
    """Give what the gate says to somebody whom it does not let in."""
    with pytest.raises(Refused) as told:
        gate.admit(None if key is None else bearer(key), "10.0.0.1", needs, now_s)
    return told.value


def test_a_key_is_written_as_its_hash_for_its_owner_alone(tmp_path: Path) -> None:
    """The file holds neither the key nor a part of it."""
    file = tmp_path / "deep" / "keys.json"
    secret = new_key(file, name="shop", scopes=["label", "decide"])

    text = file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o777 == 0o600
    assert secret not in text
    assert secret.removeprefix("feasible_")[:10] not in text
    (key,) = read_keys(file)
    assert (key.name, key.scopes) == ("shop", ("decide", "label"))
    assert len(secret) >= 50


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Whoever can read it may have changed it; the error says what to do."""
    file = tmp_path / "keys.json"
    new_key(file, name="shop", scopes=["decide"])
    file.chmod(0o640)

    with pytest.raises(BadInput, match="others can read") as told:
        read_keys(file)
    assert told.value.found == "mode 640"
    assert "chmod 600" in str(told.value)


@pytest.mark.parametrize(
    ("name", "scopes", "reason"),
    [
        ("shop", ["decide"], "already"),
        ("a b", ["decide"], "cannot name"),
        ("../x", ["decide"], "cannot name"),
        ("till", ["decid"], "no scope 'decid'"),
        ("till", [], "needs a scope"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(
    tmp_path: Path, name: str, scopes: list[str], reason: str
) -> None:
    """A bad name or scope changes nothing."""
    file = tmp_path / "keys.json"
    new_key(file, name="shop", scopes=["decide"])
    before = file.read_bytes()

    with pytest.raises(BadInput, match=reason):
        new_key(file, name=name, scopes=scopes)
    assert file.read_bytes() == before


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"feasible_keys": 2, "keys": []}', "\xff\xfe"])
def test_a_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    """A typed error, whatever stands there."""
    file = tmp_path / "keys.json"
    file.write_bytes(text.encode("latin-1"))
    file.chmod(0o600)
    with pytest.raises(BadInput):
        keys_from_file(file)


def test_a_key_opens_what_its_scopes_say_and_nothing_else(tmp_path: Path) -> None:
    """401 without a key, 403 with the scope that is needed, and open addresses for everybody."""
    file = tmp_path / "keys.json"
    shop = new_key(file, name="shop", scopes=["decide"])
    gate = Gate(keys_from_file(file))

    assert gate.admit(bearer(shop), "10.0.0.1", DECIDE, 0.0).name == "shop"
    assert gate.admit(bearer(shop), "10.0.0.1", ANY_KEY, 0.0).name == "shop"
    assert gate.admit(None, "10.0.0.1", ANYBODY, 0.0).name == "10.0.0.1"
    assert refused(gate, None, DECIDE).status == 401
    assert refused(gate, shop + "x", DECIDE).status == 401
    assert refused(gate, shop.upper(), DECIDE).status == 401
    wrong = refused(gate, shop, LABEL)
    assert wrong.status == 403
    assert "`label`" in wrong.message
    assert shop not in str(wrong)


def test_a_revoked_key_holds_no_longer_and_the_last_one_opens_nothing(tmp_path: Path) -> None:
    """A running gate sees it within a second; an empty list of keys is not an open door."""
    file = tmp_path / "keys.json"
    shop = new_key(file, name="shop", scopes=["decide"])
    gate = Gate(keys_from_file(file))
    later_s = time.monotonic() + 2
    assert gate.admit(bearer(shop), "10.0.0.1", DECIDE, later_s).name == "shop"

    revoke_key(file, "shop")

    assert refused(gate, shop, DECIDE, later_s + 2).status == 401
    till = new_key(file, name="till", scopes=["decide"])
    assert gate.admit(bearer(till), "10.0.0.1", DECIDE, later_s + 4).name == "till"
    with pytest.raises(BadInput, match="revoked before"):
        revoke_key(file, "shop")
    with pytest.raises(BadInput, match="no key 'tall'") as told:
        revoke_key(file, "tall")
    assert "`till`" in str(told.value)


def test_a_file_that_went_bad_changes_nothing(tmp_path: Path) -> None:
    """A slip of an editor locks nobody out."""
    file = tmp_path / "keys.json"
    shop = new_key(file, name="shop", scopes=["decide"])
    gate = Gate(keys_from_file(file))
    file.write_text("{", encoding="utf-8")

    later_s = time.monotonic() + 2
    assert gate.admit(bearer(shop), "10.0.0.1", DECIDE, later_s).name == "shop"


def test_guessing_is_slowed_by_address_and_shuts_nobody_else_out(tmp_path: Path) -> None:
    """After twenty wrong keys the address waits, but keys that came from there before do not."""
    file = tmp_path / "keys.json"
    shop = new_key(file, name="shop", scopes=["decide"])
    till = new_key(file, name="till", scopes=["decide"])
    gate = Gate(keys_from_file(file))
    gate.admit(bearer(shop), "10.0.0.1", DECIDE, 0.0)

    told = [refused(gate, f"guess {i}", DECIDE).status for i in range(40)]

    assert told == [401] * 20 + [429] * 20
    slowed = refused(gate, "guess", DECIDE)
    assert slowed.retry_after_s == pytest.approx(2.0)
    assert gate.admit(bearer(shop), "10.0.0.1", DECIDE, 0.0).name == "shop"
    assert refused(gate, till, DECIDE).status == 429  # a guess that fits is not told apart
    assert gate.admit(bearer(till), "10.0.0.2", DECIDE, 0.0).name == "till"
    assert gate.admit(bearer(till), "10.0.0.1", DECIDE, 3.0).name == "till"


def test_a_key_that_asks_too_often_waits_and_others_do_not(tmp_path: Path) -> None:
    """A bucket each; the refusal says when, and every answer how much is left."""
    file = tmp_path / "keys.json"
    shop = new_key(file, name="shop", scopes=["decide"])
    till = new_key(file, name="till", scopes=["decide"])
    gate = Gate(keys_from_file(file), rate_per_s=10)

    passes = [gate.admit(bearer(shop), "10.0.0.1", DECIDE, 100.0) for _ in range(10)]
    one_more = refused(gate, shop, DECIDE, 100.0)

    assert dict(passes[0].headers)[b"ratelimit"] == b'"key";r=9;t=1'
    assert dict(passes[-1].headers)[b"ratelimit"] == b'"key";r=0;t=1'
    assert dict(one_more.headers)[b"ratelimit-policy"] == b'"key";q=10;w=1'
    assert one_more.status == 429
    assert one_more.retry_after_s == pytest.approx(0.1)
    assert gate.admit(bearer(till), "10.0.0.1", DECIDE, 100.0).name == "till"
    assert gate.admit(bearer(shop), "10.0.0.1", DECIDE, 100.1).name == "shop"


def test_two_processes_that_share_a_file_share_the_buckets(tmp_path: Path) -> None:
    """What one takes is missing for the other."""
    file = tmp_path / "ledger.rates"
    one, other = (Buckets(per_s=1, size=4, file=file) for _ in range(2))

    assert [one.take(b"shop", 5.0).wait_s for _ in range(3)] == [0, 0, 0]
    assert other.left(b"shop", 5.0) == 1
    assert other.take(b"shop", 5.0).wait_s == 0
    assert one.take(b"shop", 5.0).wait_s == pytest.approx(1.0)


def test_buckets_forget_a_clock_that_began_anew() -> None:
    """After a restart of the machine nobody waits for the old clock to come round."""
    buckets = Buckets(per_s=1, size=2)
    buckets.take(b"shop", 1e6)
    assert buckets.take(b"shop", 1.0).wait_s == 0


@pytest.mark.parametrize(("text", "per_s"), [("100/s", 100), ("6000/min", 100), ("36/h", 0.01)])
def test_a_rate_is_read(text: str, per_s: float) -> None:
    """Per second, minute or hour."""
    assert rate_of(text) == pytest.approx(per_s)


@pytest.mark.parametrize("text", ["100", "fast", "0/s", "-1/s", "1e9/s", "100 ms"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    """Typed, with a good one to copy."""
    with pytest.raises(BadInput):
        rate_of(text)


def test_keys_of_the_environment_decide_label_and_review(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may not change the service."""
    monkeypatch.setenv("FEASIBLE_API_KEYS_SHA256", "a" * 64 + ", " + "b" * 64)
    keys = keys_from_environment()

    assert [key.scopes for key in keys.all] == [("decide", "label", "review")] * 2
    monkeypatch.setenv("FEASIBLE_API_KEYS_SHA256", "secret")
    with pytest.raises(BadInput) as told:
        keys_from_environment()
    assert "secret" not in str(told.value)


def test_without_keys_everybody_may_ask_and_nothing_is_counted() -> None:
    """The gate is open, so that a request pays nothing for it."""
    assert Gate(ApiKeys()).is_open
    assert not Gate(ApiKeys(), rate_per_s=1).is_open
    assert json.dumps(sorted(ANYBODY)) == "[]"


@pytest.mark.parametrize(
    ("headers", "needs", "is_refused"),
    [
        ({}, {"decide"}, False),
        ({b"origin": b"https://evil.example", b"host": b"127.0.0.1:8000"}, {"decide"}, True),
        ({b"origin": b"null", b"host": b"127.0.0.1:8000"}, {"decide"}, True),
        ({b"origin": b"http://127.0.0.1:8000", b"host": b"127.0.0.1:8000"}, {"decide"}, False),
        ({b"origin": b"https://evil.example", b"host": b"127.0.0.1:8000"}, set(), False),
        ({}, {"admin"}, True),
        ({}, {"review", "admin"}, False),
    ],
)
def test_without_keys_no_other_site_asks_and_nobody_administers(
    headers: dict[bytes, bytes], needs: set[KeyScope], *, is_refused: bool
) -> None:
    """A browser on the same machine is not its user's consent."""
    if not is_refused:
        Gate.check_without_keys(headers, frozenset(needs))
        return
    with pytest.raises(Refused) as told:
        Gate.check_without_keys(headers, frozenset(needs))
    assert told.value.status == 403
