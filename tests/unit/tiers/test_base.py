from __future__ import annotations

import subprocess
import sys

import pytest

from feasible.schema import TierKind, TierSpec
from feasible.tiers import call_price
from feasible.units import Usd


@pytest.mark.parametrize(
    ("usd", "typical", "worst"),
    [("$0.004", 0.004, 0.004), ("$0.001..0.004", 0.002, 0.004), ("$0", 0.0, 0.0)],
)
def test_a_declared_range_gives_a_typical_and_a_worst_price(
    usd: str, typical: float, worst: float
) -> None:
    """The middle of a positive range is geometric; the worst price is its end."""
    price = call_price(TierSpec(name="llm", kind=TierKind.LLM, usd=Usd(usd)))
    assert price.usd == pytest.approx(typical)
    assert price.worst_usd == pytest.approx(worst)


def test_an_undeclared_price_is_unknown_and_not_free() -> None:
    """None, never 0; a price by the hour is not a price of a call."""
    spec = TierSpec(name="llm", kind=TierKind.LLM, usd_hour=Usd("$2"))
    assert (call_price(spec).usd, call_price(spec).worst_usd) == (None, None)


def test_the_door_loads_no_engine() -> None:
    """Importing the room costs neither the time nor the memory of a model's runtime."""
    engines = ("onnxruntime", "sklearn", "scipy", "tokenizers", "httpx", "xllamacpp")
    code = f"import sys, feasible.tiers; print([e for e in {engines!r} if e in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_an_unknown_name_at_the_door_is_an_attribute_error() -> None:
    """Lazy names do not swallow misspelt ones."""
    import feasible.tiers as door  # noqa: PLC0415  the door itself is under test

    with pytest.raises(AttributeError, match="TfidfModle"):
        _ = door.TfidfModle
