"""What is purged is gone from every byte, and everything else is still proved."""

from __future__ import annotations

import asyncio
import hashlib
import random
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from feasible.clock import SystemClock
from feasible.errors import BadInput, LedgerError
from feasible.ledger import Purge, Purged, SqliteLedger, new_decision_id, open_ledger, purge
from feasible.schema import Decision, Label, PathStep

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PEOPLE = 40


def person(n: int) -> str:
    """Give a name that stands nowhere else."""
    return f"zebedee{n:03}quux"


def decided(n: int) -> Decision:
    """Give decision n, of person n % PEOPLE, a day after the one before."""
    who = person(n % PEOPLE)
    step = PathStep(tier="llm", outcome="failed", latency_ms=1.0, cost_usd=None, why=f"why-{who}")
    return Decision(
        decision_id=f"d{n:04}",
        at=NOON + timedelta(days=n),
        plan="plan_1",
        answer={"to": f"answer-{who}", "team": "refund"},
        probability=0.9,
        tier="llm",
        path=(step,),
        cost_nusd=1000,
        latency_ms=1.5,
        request={"user_id": who, "text": f"text-{who} " * random.Random(n).randint(1, 200)},
        idempotency_key=f"key-{who}-{n}",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write 400 decisions, and a label of every other one."""
    path = tmp_path / "ledger.db"

    async def fill(ledger: SqliteLedger) -> None:
        for start in range(0, 400, 20):
            await asyncio.gather(*(ledger.append(decided(n)) for n in range(start, start + 20)))
            await ledger.add_labels(
                [
                    Label(
                        decision_id=f"d{n:04}",
                        value=f"value-{person(n % PEOPLE)}",
                        source="human",
                        known_at=NOON,
                        reviewer=f"reviewer-{person(n % PEOPLE)}",
                    )
                    for n in range(start, start + 20, 2)
                ]
            )

    with closing(SqliteLedger(path)) as ledger:
        asyncio.run(fill(ledger))
    return path


def run(path: Path, *, dry_run: bool = False, **what: object) -> Purged:
    """Purge a ledger."""
    made = msgspec.convert(what, Purge)
    return purge(f"sqlite:///{path}", made, actor="ana", dry_run=dry_run)


def files_with(path: Path, text: str) -> list[str]:
    """Give the files of the folder that hold a text."""
    return [f.name for f in sorted(path.parent.iterdir()) if text.encode() in f.read_bytes()]


def test_a_subject_is_gone_from_every_byte_and_the_rest_is_proved(path: Path) -> None:
    """Decisions and labels of one person go; an event says how many, and not whose."""
    assert files_with(path, person(7)) == ["ledger.db"]
    dry = run(path, dry_run=True, subject=("request.user_id", person(7)))
    assert (dry.decisions, dry.labels) == (10, 0)
    assert files_with(path, person(7)) == ["ledger.db"]
    done = run(path, subject=("request.user_id", person(7)))
    also = run(path, subject=("request.user_id", person(8)))
    assert (done.decisions, done.labels, done.log_emptied) == (10, 0, True)
    assert (also.decisions, also.labels) == (10, 10)
    for gone in (7, 8):
        assert files_with(path, person(gone)) == []
    assert files_with(path, person(9)) == ["ledger.db"]
    with closing(SqliteLedger(path)) as ledger:
        found = ledger.verify()
        assert found.whole, str(found)
        assert (found.decisions, found.labels, found.deleted) == (380, 190, 30)
        assert "30 rows deleted and 0 redacted, each with a record" in str(found)
        counts = ledger.counts()
        assert (counts.decisions, counts.labels, counts.events) == (380, 190, 2)
        event = list(ledger.events(kind="ledger.purged"))[1]
        assert event.actor == "ana"
        assert event.body["decisions"] == 10
        assert event.body["subject"] == "request.user_id"
        assert ledger.decision("d0007") is None
        asyncio.run(ledger.append(decided(7)))  # as a new one: nothing of it is known any more
        assert ledger.verify().whole


def test_what_is_older_than_retained_goes_and_the_chain_stays(path: Path) -> None:
    """Retention by age: whole batches and parts of batches, also the newest rows of all."""
    with closing(SqliteLedger(path)) as ledger:
        head = ledger.verify().head
    done = run(path, before=NOON + timedelta(days=250))
    assert (done.decisions, done.labels) == (250, 125)
    with closing(SqliteLedger(path)) as ledger:
        found = ledger.verify(anchor=head)
        assert found.whole, str(found)
        assert [d.decision_id for d in ledger.decisions()] == [f"d{n:04}" for n in range(250, 400)]
        assert ledger.counts().first_at == NOON + timedelta(days=250)
    assert run(path, before=NOON + timedelta(days=9999)).decisions == 150
    with closing(SqliteLedger(path)) as ledger:
        assert ledger.counts().decisions == 0
        asyncio.run(ledger.append(decided(1)))
        assert ledger.counts().decisions == 1
        assert ledger.verify(anchor=head).whole
    assert run(path, before=NOON).decisions == 0


@pytest.mark.parametrize(
    ("field", "text", "left"),
    [
        ("request.text", "text-", 1),
        ("request", "text-", 1),
        ("answer.to", "answer-", 1),
        ("path.why", "why-", 1),
        ("idempotency_key", "key-", 1),
        ("label.value", "value-", 1),
        ("label.reviewer", "reviewer-", 1),
    ],
)
def test_a_field_is_gone_from_every_byte_and_the_rest_is_proved(
    path: Path, field: str, text: str, left: int
) -> None:
    """Other fields of the same rows stay as they were, and are still what was written."""
    who = person(6)
    assert files_with(path, text + who) == ["ledger.db"]
    done = run(path, redact=(field,), subject=("request.user_id", who))
    assert done.did == "redact"
    assert (done.decisions or done.labels) == 10
    assert files_with(path, text + who) == []
    assert files_with(path, text + person(5 + left)) in ([], ["ledger.db"])
    assert files_with(path, text + person(4)) == ["ledger.db"]
    with closing(SqliteLedger(path)) as ledger:
        found = ledger.verify()
        assert found.whole, str(found)
        assert (found.deleted, found.redacted) == (0, 10)
        assert (found.decisions, found.labels) == (400, 200)
        after = ledger.decision("d0006")
        assert after is not None
        assert after.tier == "llm"
        if field == "request.text":
            assert after.request == {"user_id": who, "text": None}
            assert after.answer == decided(6).answer
    assert run(path, redact=(field,), dry_run=True, before=NOON).decisions == 0
    # The rest of what was redacted can go too, and the chain still holds.
    if field != "request":
        run(path, redact=("request.text", "answer"))
        run(path, subject=("request.user_id", who))
        assert files_with(path, who) == []
    with closing(SqliteLedger(path)) as ledger:
        assert ledger.verify().whole


EDITS = {
    "what was redacted": "UPDATE decisions SET request = CAST('1' AS BLOB) WHERE row_id = 7",
    "beside what was redacted": "UPDATE decisions SET tier = 'x' WHERE row_id = 7",
    "an answer beside it": "UPDATE decisions SET answer = CAST('1' AS BLOB) WHERE row_id = 7",
    "another row": "UPDATE decisions SET tier = 'x' WHERE row_id = 9",
    "another row deleted": "DELETE FROM decisions WHERE row_id = 9",
    "a record added": "INSERT INTO deleted VALUES ('decisions', 9, zeroblob(32), 1);"
    "DELETE FROM decisions WHERE row_id = 9",
    "a record without an event": "INSERT INTO deleted VALUES ('decisions', 9, zeroblob(32), 77);"
    "DELETE FROM decisions WHERE row_id = 9",
    "a record removed": "DELETE FROM deleted WHERE row_id = 8",
    "a record changed": "UPDATE redacted SET now = was",
    "all records removed": "DELETE FROM deleted; DELETE FROM redacted",
    "the event": "UPDATE events SET actor = 'ben'",
    "the event removed": "DELETE FROM events WHERE row_id = 1",
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_or_deletion_without_a_record_is_still_found(path: Path, edit: str) -> None:
    """A purge covers what it says and nothing else."""
    run(path, subject=("decision_id", "d0007"))
    run(path, redact=("request.text",), subject=("decision_id", "d0006"))
    with closing(SqliteLedger(path, write=False)) as ledger:
        assert ledger.verify().whole
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(EDITS[edit])
    with closing(SqliteLedger(path, write=False)) as ledger:
        assert not ledger.verify().whole


def test_a_row_that_was_deleted_cannot_be_put_back_as_another(path: Path) -> None:
    """Its number belongs to what was there."""
    with closing(sqlite3.connect(path)) as connection:
        (salt,) = connection.execute("SELECT salt FROM decisions WHERE row_id = 8").fetchone()
    run(path, subject=("decision_id", "d0007"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE decisions SET row_id = 8 WHERE row_id = 1")
        connection.commit()
    assert len(salt) == 48
    with closing(SqliteLedger(path, write=False)) as ledger:
        assert not ledger.verify().whole


def test_a_purge_beside_a_running_service_disturbs_nobody(path: Path) -> None:
    """The service goes on writing, its readers reading, and the log is emptied under them."""
    over, wholes, errors = threading.Event(), list[bool](), list[BaseException]()
    url = f"sqlite:///{path}"

    async def serve(ledger: SqliteLedger) -> int:
        n = 0
        while not over.is_set():
            made = msgspec.structs.replace(
                decided(11), decision_id=new_decision_id(SystemClock()), idempotency_key=None
            )
            await ledger.append(made)
            n += 1
        return n

    with closing(SqliteLedger(path)) as ledger:

        def watch() -> None:
            try:
                with closing(open_ledger(url, write=False)) as reader:
                    while not over.is_set():
                        wholes.append(reader.verify().whole)
            except BaseException as error:  # noqa: BLE001  told below
                errors.append(error)

        def take() -> None:
            code = (
                "import sys; from feasible.ledger import Purge, purge\n"
                "for n in range(6):\n"
                "    what = Purge(subject=('request.user_id', f'zebedee{n:03}quux'))\n"
                "    print(purge(sys.argv[1], what, actor='ana').decisions)\n"
                "print(purge(sys.argv[1], Purge(redact=('answer',)), actor='ana').log_emptied)\n"
            )
            try:
                command = [sys.executable, "-c", code, url]
                said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                assert said.split() == ["10"] * 6 + ["True"]
            except BaseException as error:  # noqa: BLE001  told below
                errors.append(error)
            over.set()

        threads = [threading.Thread(target=work) for work in (watch, take)]
        for thread in threads:
            thread.start()
        written = asyncio.run(serve(ledger))
        for thread in threads:
            thread.join()
        assert not errors, errors
        assert all(wholes)
        assert ledger.counts().decisions == 340 + written
        found = ledger.verify()
        assert found.whole, str(found)
        assert files_with(path, person(3)) == []


def test_a_purge_that_says_nothing_or_names_no_field_is_refused(path: Path) -> None:
    """Nothing is deleted by mistake."""
    for what in (
        {},
        {"redact": ("text",)},
        {"redact": ("request.",)},
        {"redact": ("decision_id",)},
        {"subject": ("label.value", "x")},
        {"subject": ("path.why", "why-7")},
    ):
        with pytest.raises(BadInput):
            run(path, **what)
    with pytest.raises(LedgerError, match="there is no ledger"):
        run(path.with_name("nowhere.db"), before=NOON)
    with closing(SqliteLedger(path, write=False)) as ledger:
        assert ledger.counts().decisions == 400


def test_nobody_can_guess_what_was_redacted(path: Path) -> None:
    """What is left for the chain was made with a salt that is gone: trying all names finds none."""
    run(path, redact=("request",))
    with closing(sqlite3.connect(path)) as connection:
        left = connection.execute("SELECT was FROM redacted").fetchall()
        salts = connection.execute("SELECT salt FROM decisions").fetchall()
    assert len(left) == 400
    tried = {
        hashlib.sha256(salt[16:32] + msgspec.json.encode(decided(n).request)).digest()
        for (salt,) in salts[:40]
        for n in range(40)
    }
    assert not tried & {was for (was,) in left}
