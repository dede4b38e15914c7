from __future__ import annotations

from feasible.rubric.interview import parse_transcript, read_design

SPOKEN = """
00:30 candidate: Limits: p99 under 200 ms, at most $0.003 per decision, recall of at least 95 % on \
the high-risk segment, 40 requests per second and 200 per second at peak.
05:00 candidate: Tiers: rules answer in 3 ms at $0.00001. A scorer sees 90 % of payments, \
p95 60 ms, $0.0004 a call, 250 per second.
20:00 interviewer: What breaks first?
20:20 candidate: The scorer's capacity breaks first, at 1.4x the peak.
22:00 candidate: The fix is a second replica: $300 a month, it gives 2.8x.
25:00 interviewer: What if the scorer is down?
25:20 candidate: We see it within 10 seconds and fall back to rules.
"""


def test_limits_tiers_bottleneck_and_failures_are_read() -> None:
    """Numbers find their place by the words around them, and keep the line they came from."""
    reading = read_design(parse_transcript(SPOKEN))
    brief = reading.found.brief
    ids = [objective.id for objective in brief.envelope]
    assert ids == ["latency_p99", "cost_mean", "recall_high_risk_segment", "throughput_peak"]
    scorer = brief.tier("scorer")
    assert [str(scorer.latency_p95), str(scorer.capacity)] == ["60 ms", "250 / s"]
    assert brief.bottleneck is not None
    assert brief.bottleneck.fix is not None
    assert brief.bottleneck.knob == "scorer.capacity"
    assert [str(brief.bottleneck.fix.usd_month), brief.bottleneck.fix.buys] == ["$300", "2.8x"]
    assert brief.failures[0].fallback == "rules"
    assert reading.quotes["bottleneck.knob"].at_s == 1220.0


def test_what_cannot_be_read_for_sure_is_asked() -> None:
    """A latency without its percentile, and a bottleneck that names nothing, are questions."""
    said = "00:30 candidate: Limits: sub-200ms responses.\n01:00 interviewer: What breaks first?\n"
    reading = read_design(parse_transcript(said + "01:20 candidate: It depends."))
    assert {ask.about for ask in reading.asks} == {"envelope.latency", "bottleneck.knob"}
    assert reading.found.brief.bottleneck is None


def test_a_gap_that_is_named_is_no_model_that_is_named() -> None:
    """Honesty about a model, with reasons from its cost, is noted and not punished."""
    said = (
        "00:30 candidate: I have not worked with vision transformers; they trade compute cost for "
        "accuracy, so I would reason from latency."
    )
    reading = read_design(parse_transcript(said))
    assert reading.gap_named is not None
    assert reading.model_named is None
