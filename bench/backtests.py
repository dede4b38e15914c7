"""Plans from logged outcomes, back-tested on rows kept aside: how often did each promise hold?

    FEASIBLE_DATA_DIR=DIR python -m bench.backtests --splits 200

For every split the queries are halved at random. A plan is made and certified on one half, as
`feasible plan --brief B --profile P` would, and replayed on the other half, as `feasible backtest`
would. Few rows break a promise by chance even when the plan is valid, so that rates of what chance
does stand beside what happened:

- anew: the same fixed plans on halves drawn anew from all queries. A plan that was not chosen on
  some rows and judged on the others would break this often.
- expected, and at the limit: what certificates that are worth their level allow for on so few rows
  kept aside; `bench/chance.py` explains how both are computed.
- wrong: certified plans whose value on all queries breaks the limit. At a confidence level of 95 %
  at most one split in twenty may certify such a plan.

All splits share one pool of queries. What is lucky on one half is unlucky on the other, so that the
rows kept aside look a little worse than fresh traffic would: a test on the strict side.

The log has no scores, so that the planner chooses between models and not between answers.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq
from bench.bfcl_to_profile import MODELS, bfcl_folder, bfcl_table
from bench.chance import breaks_at_the_limit, expected_to_break, refuted_at_the_limit
from bench.page import Section, table

from feasible.planning import backtest, percentile_of, plan_profile, read_profile
from feasible.schema import Backtest, Brief, CertificateLine, Profile, load_brief

__all__ = ["run"]

_NEW_HALVES = 10
_SEED = 20261124
_BRIEFS = {
    # Latency and money were chosen from the averages that the data set's own page states. Accuracy
    # was first 0.02 higher in the first two and 0.01 in the third: half of the queries could not
    # show that in six splits, of which only the number of certificates was looked at.
    "cheap": """\
feasible: 1
name: cheap
goal: {statement: Call the right function with the right arguments}
envelope:
  - {quality: accuracy, at_least: 0.82, confidence_level: 0.95}
  - {cost: mean, at_most: $0.001, confidence_level: 0.95}
  - {latency: p95, at_most: 4 s, confidence_level: 0.95}
""",
    "narrow": """\
feasible: 1
name: narrow
goal: {statement: Call the right function with the right arguments}
envelope:
  - {quality: accuracy, at_least: 0.84, confidence_level: 0.95}
  - {cost: mean, at_most: $0.001, confidence_level: 0.95}
  - {latency: p95, at_most: 3 s, confidence_level: 0.95}
""",
    "dear": """\
feasible: 1
name: dear
goal: {statement: Call the right function with the right arguments}
envelope:
  - {quality: accuracy, at_least: 0.87, confidence_level: 0.95}
  - {cost: mean, at_most: $0.003, confidence_level: 0.95}
  - {latency: p95, at_most: 4 s, confidence_level: 0.95}
""",
    # Out of reach on purpose: the only model that fits the money is right less often than that, so
    # that every certificate would be wrong.
    "trap": """\
feasible: 1
name: trap
goal: {statement: Call the right function with the right arguments}
envelope:
  - {quality: accuracy, at_least: 0.88, confidence_level: 0.95}
  - {cost: mean, at_most: $0.0001, confidence_level: 0.95}
""",
}


@dataclass(frozen=True)
class _Split:
    """What became of one split.

    Attributes:
        answer: `certified`, or the kind of the infeasible answer.
        seconds: Time that planning took.
        tiers: Tiers of the plan.
        certificate: What was certified.
        aside: The back-test on the rows kept aside.
        everywhere: The back-test on all rows.
        anew: Back-tests on halves drawn anew.
    """

    answer: str
    seconds: float
    tiers: tuple[str, ...] = ()
    certificate: tuple[CertificateLine, ...] = ()
    aside: Backtest | None = None
    everywhere: Backtest | None = None
    anew: tuple[Backtest, ...] = ()


def _split(task: tuple[Brief, Profile, int]) -> _Split:
    """Plan on one half and replay on the other."""
    brief, profile, number = task
    rng = np.random.default_rng([_SEED, number])
    order = rng.permutation(len(profile))
    half = len(profile) // 2
    seen = profile.take(order[:half])
    began = time.perf_counter()
    report = plan_profile(brief, seen, data="bfcl", synthetic=False, seed=number)
    seconds = time.perf_counter() - began
    if report.plan is None:
        why = "no plan" if report.infeasible is None else report.infeasible.kind
        return _Split(why, seconds)
    plan = report.plan
    return _Split(
        "certified",
        seconds,
        tuple(tier.name for tier in plan.tiers),
        plan.certificate,
        backtest(plan, brief, profile.take(order[half:])),
        backtest(plan, brief, profile),
        tuple(
            backtest(plan, brief, profile.take(rng.permutation(len(profile))[half:]))
            for _ in range(_NEW_HALVES)
        ),
    )


def _broken(found: Backtest, position: int) -> bool:
    """Claim that the value, not its interval, is on the wrong side of the limit."""
    promise = found.promises[position]
    if promise.value is None:
        return False
    is_floor = promise.unit == "ratio"  # of these promises, quality alone is a floor
    return promise.value < promise.limit if is_floor else promise.value > promise.limit


def _allowed(brief: Brief, name: str) -> float | None:
    """Give the rate of misses that a promise allows; None for a mean, which counts none."""
    objective = brief.objective(name)
    if objective.limit is not None and objective.kind == "quality":
        return 1 - objective.limit.mid
    share = percentile_of(objective) if objective.kind == "latency" else None
    return None if share is None else 1 - share


def _chances(brief: Brief, name: str, splits: Sequence[_Split]) -> tuple[str, str]:
    """Give how often chance breaks a promise: as the certificates show, and at the limit."""
    limit = _allowed(brief, name)
    if limit is None:
        return "-", "-"
    expected, worst, refuted = [], [], []
    for split in splits:
        line = next(line for line in split.certificate if line.objective == name)
        n = next(p.n for p in split.aside.promises if p.objective == name) if split.aside else 0
        expected.append(expected_to_break(line.misses, line.n, n=n, limit=limit))
        worst.append(breaks_at_the_limit(n, limit))
        refuted.append(refuted_at_the_limit(n, limit, confidence_level=line.confidence_level))
    return _percent(expected), f"{_percent(worst)} ({_percent(refuted)})"


def _lines(brief: Brief, splits: Sequence[_Split]) -> list[list[str]]:
    """Give a line for each promise of one brief."""
    certified = [split for split in splits if split.aside is not None]
    aside = [split.aside for split in certified if split.aside is not None]
    everywhere = [split.everywhere for split in certified if split.everywhere is not None]
    anew = [found for split in certified for found in split.anew]
    lines = []
    for position, promise in enumerate(aside[0].promises if aside else ()):
        held = Counter(found.promises[position].held for found in aside)
        limit = {"ratio": f"{promise.limit:.2f}", "usd": f"${promise.limit:g}"}.get(
            promise.unit, f"{promise.limit:g} ms"
        )
        lines.append(
            [
                f"{brief.name}: {promise.objective}",
                limit,
                str(len(aside)),
                _percent([_broken(found, position) for found in aside]),
                _percent([_broken(found, position) for found in anew]),
                *_chances(brief, promise.objective, certified),
                f"{held['true']} / {held['undecided']} / {held['false']}",
                _share(sum(_broken(found, position) for found in everywhere), len(splits)),
            ]
        )
    return lines


def _percent(rates: Sequence[float]) -> str:
    return _share(sum(rates), len(rates))


def _share(count: float, of: int) -> str:
    return "-" if of == 0 else f"{count / of * 100:.1f} %"


def run(*, n_splits: int = 200) -> Section:
    """Back-test every brief on random halves and give the table.

    Args:
        n_splits: Random halves a brief. Count.
    """
    command = f"FEASIBLE_DATA_DIR=DIR python -m bench.backtests --splits {n_splits}"
    folder = bfcl_folder()
    if folder is None:
        text = "Not measured: FEASIBLE_DATA_DIR names no folder with `llm_bfcl_outcomes`."
        return Section("BFCL back-tests", command, text)
    with TemporaryDirectory() as place:
        file = Path(place) / "bfcl.parquet"
        pq.write_table(bfcl_table(folder, MODELS), file)
        profile = read_profile(file)
        briefs = {name: _brief(text, Path(place)) for name, text in _BRIEFS.items()}
    lines, answers, seconds = [], [], []
    with get_context("spawn").Pool(2) as pool:
        for name, brief in briefs.items():
            tasks = [(brief, profile, number) for number in range(n_splits)]
            splits = []
            for split in pool.imap(_split, tasks, chunksize=4):
                splits.append(split)
                print(f"\r{name}: {len(splits)} of {n_splits} splits", end="", file=sys.stderr)
            print(file=sys.stderr)
            lines += _lines(brief, splits)
            answers.append(_answers(name, splits))
            seconds += [split.seconds for split in splits]
    header = ["promise", "limit", "certified", "broke aside", "broke anew", "expected"]
    header += ["at the limit", "true / undecided / false", "wrong"]
    text = f"""\
{len(profile):,} queries with the logged outcomes of {len(MODELS)} models ({", ".join(MODELS)});
{n_splits} random halves a brief: one half plans and certifies, the other is kept aside. A plan took
{np.median(seconds):.1f} s (median; 95 % within {np.quantile(seconds, 0.95):.1f} s), two at a time.

{table(header, lines)}

- *limits*: money and latency were set from the averages that the data set's own page states, before
  any plan was made. Accuracy was lowered once, by 0.02 (`cheap`, `narrow`) and 0.01 (`dear`), after
  six splits of which only the number of certificates was looked at; no back-test was.
- *certified*: splits in which a plan was certified. The answers were {"; ".join(answers)}.
- *broke aside*: the value on the rows kept aside was on the wrong side of the limit. Both halves
  come from one pool, where luck on one is bad luck on the other: fresh traffic is a little kinder.
- *broke anew*: the same plans on {_NEW_HALVES} halves each, drawn anew from all queries.
- *expected*: how often other rows break the promise by chance, given the misses that the
  certificates counted (beta-binomial). Mean costs count no misses.
- *at the limit*: how often they would if the true rate of misses were the limit itself (binomial);
  in brackets, how often the verdict would be *false*.
- *true / undecided / false*: the verdict of `feasible backtest`, whose interval is two-sided at
  95 %.
- *wrong*: of all splits, those that certified a plan whose value on all queries breaks the limit.
  A certificate at 95 % allows 5.0 %.
- `trap` is out of reach on purpose: every certificate of it is wrong, and its accuracy has a line
  only when there is one.
"""
    return Section("BFCL back-tests", command, text)


def _brief(text: str, folder: Path) -> Brief:
    path = folder / "brief.yaml"
    path.write_text(text, encoding="utf-8")
    return load_brief(path).brief


def _answers(name: str, splits: Sequence[_Split]) -> str:
    """Say which answers a brief got, and which plans."""
    answers = Counter(split.answer for split in splits)
    plans = Counter(" > ".join(split.tiers) for split in splits if split.tiers)
    told = ", ".join(f"{answer} {count}" for answer, count in answers.most_common())
    chosen = ", ".join(f"{plan} {count}" for plan, count in plans.most_common(3))
    return f"{name}: {told}" + (f" (plans: {chosen})" if chosen else "")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--splits", type=int, default=200)
    print(run(n_splits=arguments.parse_args().splits).text)
