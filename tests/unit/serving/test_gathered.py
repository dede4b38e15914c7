from __future__ import annotations

from feasible.serving.gathered import Gathered

PAGE = """\
# HELP feasible_decisions_total Durable decisions.
# TYPE feasible_decisions_total counter
feasible_decisions_total{{tier="a b"}} {decisions}
# HELP feasible_requests_in_flight Requests being answered.
# TYPE feasible_requests_in_flight gauge
feasible_requests_in_flight {flying}
# HELP feasible_breakers_open Tiers not asked now.
# TYPE feasible_breakers_open gauge
feasible_breakers_open {broken}
# HELP feasible_slack Share of the limit that is left.
# TYPE feasible_slack gauge
feasible_slack{{objective="cost"}} {slack}
"""


def page(decisions: float, flying: float = 0.0, broken: float = 0.0, slack: float = 0.0) -> str:
    """Give what one process says."""
    return PAGE.format(decisions=decisions, flying=flying, broken=broken, slack=slack)


def samples(text: str) -> dict[str, float]:
    """Give the samples of a page."""
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_counters_add_up_and_gauges_are_what_they_are() -> None:
    """In flight adds up, the worst tier counts, and what all know is told by the one asked."""
    gathered = Gathered()
    gathered.put(0, 1, page(3, flying=2, broken=1, slack=0.25))
    gathered.put(1, 1, page(4, flying=5, broken=0, slack=0.5))

    assert samples(gathered.text({0: 1, 1: 1}, asked=1)) == {
        'feasible_decisions_total{tier="a b"}': 7,
        "feasible_requests_in_flight": 7,
        "feasible_breakers_open": 1,
        'feasible_slack{objective="cost"}': 0.5,
    }


def test_what_ended_stays_counted_and_holds_nothing_any_more() -> None:
    """A process that has ended keeps its counters and loses its gauges."""
    gathered = Gathered()
    gathered.put(0, 1, page(3, flying=2, broken=1))
    before = samples(gathered.text({0: 2}, asked=0))
    gathered.put(0, 2, page(1, flying=1))
    after = samples(gathered.text({0: 2}, asked=0))

    assert before['feasible_decisions_total{tier="a b"}'] == 3
    assert after['feasible_decisions_total{tier="a b"}'] == 4
    assert after["feasible_requests_in_flight"] == 1
    assert after["feasible_breakers_open"] == 0


def test_each_metric_is_described_once() -> None:
    """Help and type stand before the samples, as the format wants."""
    gathered = Gathered()
    gathered.put(0, 1, page(3))
    gathered.put(1, 1, page(3))
    text = gathered.text({0: 1, 1: 1}, asked=0)

    assert text.count("# TYPE feasible_decisions_total counter") == 1
    assert text.endswith("\n")
