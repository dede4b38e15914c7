"""Orders to a running service, as files beside its ledger."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from feasible.errors import FeasibleError, PlanError
from feasible.serving import answer_letters, letters_folder, send_letter


async def with_service(folder: Path, use: Any) -> Any:
    """Answer orders while something else asks from a thread."""

    async def handle(body: Any) -> Any:
        if body == "refuse":
            raise PlanError("it does not fit", found="another brief", attempt="plan again")
        if body == "break":
            raise ValueError("a tier's own code")
        return {"heard": body}

    answering = asyncio.ensure_future(answer_letters(folder, handle))
    try:
        return await asyncio.to_thread(use)
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


def test_an_order_is_answered_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """What the service says comes back, and both files are gone."""
    folder = letters_folder(tmp_path / "decisions.db")
    folder.mkdir()
    said = asyncio.run(
        with_service(folder, lambda: send_letter(folder, {"act": "stop"}, within_s=30))
    )

    assert said == {"heard": {"act": "stop"}}
    assert not list(folder.iterdir())


@pytest.mark.slow
def test_an_order_that_is_still_being_written_is_left_alone(tmp_path: Path) -> None:
    """A service that looks in that moment neither reads it nor takes it away."""
    folder = letters_folder(tmp_path / "decisions.db")
    folder.mkdir()

    def half_written() -> Any:
        for _ in range(20):
            send_letter(folder, "first", within_s=30)
        return [path.name for path in folder.iterdir()]

    part = folder / ".half.ask.json"
    part.write_bytes(b'{"act": ')
    assert asyncio.run(with_service(folder, half_written)) == [part.name]
    assert part.read_bytes() == b'{"act": '


def test_a_refusal_comes_back_as_the_error_that_it_is(tmp_path: Path) -> None:
    """With what was found and what to try."""
    folder = letters_folder(tmp_path / "decisions.db")
    folder.mkdir()
    with pytest.raises(PlanError) as caught:
        asyncio.run(with_service(folder, lambda: send_letter(folder, "refuse", within_s=30)))

    assert (caught.value.found, caught.value.attempt) == ("another brief", "plan again")


def test_nobody_waits_for_ever_for_a_service_that_is_not_there(tmp_path: Path) -> None:
    """Without an answer the order is taken back."""
    folder = letters_folder(tmp_path / "decisions.db")
    with pytest.raises(FeasibleError, match="does not answer"):
        send_letter(folder, {}, within_s=0.1)
    folder.mkdir()
    with pytest.raises(FeasibleError, match="does not answer"):
        send_letter(folder, {}, within_s=0.1)
    assert not list(folder.iterdir())


def test_orders_are_heard_after_one_that_broke_or_whose_folder_went(tmp_path: Path) -> None:
    """Whatever a plan's tiers raise as they load is told, and the next order is carried out."""
    folder = letters_folder(tmp_path / "decisions.db")
    folder.mkdir()

    def use() -> Any:
        with pytest.raises(FeasibleError, match="the order failed") as caught:
            send_letter(folder, "break", within_s=30)
        assert "a tier's own code" in str(caught.value)
        folder.rmdir()
        give_up_s = time.monotonic() + 30
        while not folder.exists() and time.monotonic() < give_up_s:
            time.sleep(0.05)
        return send_letter(folder, "next", within_s=30)

    assert asyncio.run(with_service(folder, use)) == {"heard": "next"}
