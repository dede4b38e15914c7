"""What was heard gives one case and many cases the same probability, to the last bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from feasible.cascade import Heard, Policy, Step, foresee, foresee_all, table_of
from feasible.schema import Calibrator, Posterior, Profile, Router, TierKind

SAME = {"*": Calibrator(method="isotonic", x=(0.0, 1.0), y=(0.0, 1.0), n=1)}
TERMS = ("own", "group:risky", "same:small", "other:small", "for:small", "against:small")
NUMBER = st.floats(-4, 4, allow_nan=False)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(NUMBER, min_size=6, max_size=6),
    NUMBER,
    st.booleans(),
    st.lists(
        st.tuples(
            st.floats(0, 1),
            st.floats(0, 1),
            st.sampled_from([-1, 0, 1]),
            st.booleans(),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    ),
)
def test_one_and_many_agree(
    weights: list[float],
    offset: float,
    against_next: bool,  # noqa: FBT001
    rows: list[tuple[float, float, int, bool, bool]],
) -> None:
    """Posterior and gain of every row equal those worked out for it alone; late is not heard."""
    model = Posterior(terms=TERMS, weights=tuple(weights), offset=offset, n=1)
    rival = Posterior(terms=("own",), weights=(0.5,), offset=0.1, n=1) if against_next else None
    small = Step("small", TierKind.MODEL, {"*": 0.5}, calibrators=SAME, timeout_ms=50.0)
    large = Step(
        "large",
        TierKind.MODEL,
        {"*": 0.5},
        groups={"b": "risky"},
        calibrators=SAME,
        posterior=model,
        rival=rival,
    )
    values = ("a", "b")
    profile = Profile(
        row_ids=tuple(str(i) for i in range(len(rows))),
        tiers=("small", "large"),
        loss=np.zeros((len(rows), 2)),
        answered=np.array([[first >= 0, True] for _, _, first, *_ in rows]),
        score=np.array([[p, q] for p, q, *_ in rows]),
        answer_class=np.array([[first, int(second)] for _, _, first, second, _ in rows]),
        classes=values,
        latency_ms=np.array([[51.0 if late else 50.0, 1.0] for *_, late in rows]),
        cost_usd=np.zeros((len(rows), 2)),
    )

    many = table_of(Policy((small, large)), profile).probability[:, 1]

    for row, (p, q, first, second, late) in enumerate(rows):
        said = Heard(values[first], small.probability(p, "*"))
        earlier = {} if first < 0 or late else {"small": said}
        group = large.group(values[int(second)])
        own = Heard(values[int(second)], large.probability(q, group))
        assert large.judged(own, earlier) == many[row]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_one_text_and_many_texts_are_foreseen_alike(texts: list[str]) -> None:
    """A router says of a text what it says of a row with that text, whatever the text."""
    router = Router(
        words=("a", "a b", "b", "is"),
        rarity=(1.0, 2.0, 1.5, 1.1),
        weights={"small": (0.3, -0.7, 0.1, 2.0)},
        offset={"small": 0.2},
        n=10,
    )
    n = len(texts)
    profile = Profile(
        row_ids=tuple(str(i) for i in range(n)),
        tiers=("small",),
        loss=np.zeros((n, 1)),
        answered=np.ones((n, 1), dtype=np.bool_),
        score=np.full((n, 1), np.nan),
        answer_class=np.full((n, 1), -1),
        classes=(),
        latency_ms=np.zeros((n, 1)),
        cost_usd=np.zeros((n, 1)),
        text=tuple(texts),
    )

    many = foresee_all(router, profile)["small"]

    assert [foresee(router, text)["small"] for text in texts] == many.tolist()
