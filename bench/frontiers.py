"""Published pools of language models: what equal quality costs certified, single, by an oracle.

    FEASIBLE_DATA_DIR=DIR python -m bench.frontiers --splits 20

- RouteLLM's logs (`llm_routellm`): Mixtral 8x7B and GPT-4-1106 on MMLU and GSM8K. They hold no
  prices; estimates: a quarter of the characters are tokens, $0.60 per million for Mixtral, $10 in
  and $30 out for GPT-4-1106; an answer to MMLU is 1 token.
- ParetoBandit's (`llm_paretobandit`): four models' reward from a judge, 0 to 1, and their price.
- FrugalGPT's HEADLINES (`llm_frugalgpt_headlines`): the labelled rows and the published accuracy
  and price of single models and of FrugalGPT's cascades; the models' answers are not there.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
from bench.halves import Made, brief_of, certified, each_split, halves
from bench.page import Section, table
from bench.peers.data import data_folder
from bench.peers.routellm import (
    Routed,
    apgr,
    calls_for,
    gap_recovered,
    routed,
    threshold_shown,
    threshold_that_kept,
)
from bench.peers.singles import cheapest_that_kept

from feasible.cascade import foresee_all
from feasible.planning.foresight import fit_router
from feasible.schema import Brief, Example, FloatArray, Profile, Router
from feasible.stats import interval
from feasible.tiers import TfidfModel

__all__ = ["bandit_profile", "oracle_usd", "routellm_profile", "run"]

_LEVEL = 0.9
_MILLION = 1e6
_USD = {"mixtral": (0.6, 0.6), "gpt4": (10.0, 30.0)}
"""Tier -> dollars per million tokens in and out."""
_SHARES = (0.2, 0.5, 0.8)
"""Of the gap between the weak and the strong model, for the floors."""
_REWARDS = (0.88, 0.90, 0.91)
_BRIEF = """\
feasible: 1
name: frontier
goal: {{statement: Answer as well as promised at the least price}}
envelope:
  - {{quality: {measure}, at_least: {floor}, confidence_level: {level}}}
"""


def routellm_profile(file: Path) -> Profile:
    """Give one of RouteLLM's logs as a profile, prices estimated.

    Args:
        file: `mmlu_*` or `gsm8k_*`, in the data set's folder.
    """
    log = pq.read_table(file)
    asks = log["prompt"].to_pylist()
    tokens = np.array([len(text) for text in asks]) / 4
    loss, usd = [], []
    for tier, column in (("mixtral", "mixtral_8x7b"), ("gpt4", "gpt4_1106")):
        loss.append(1.0 - np.array(log[f"{column}_correct"].to_pylist(), dtype=np.float64))
        said = np.ones(len(asks))
        if f"{column}_response" in log.column_names:
            said = np.array([len(text) for text in log[f"{column}_response"].to_pylist()]) / 4
        dollars_in, dollars_out = _USD[tier]
        usd.append((tokens * dollars_in + said * dollars_out) / _MILLION)
    return _profile(asks, ("mixtral", "gpt4"), np.column_stack(loss), np.column_stack(usd))


def bandit_profile(folder: Path) -> Profile:
    """Give ParetoBandit's log as a profile; the loss is 1 - reward."""
    log = pq.read_table(folder / "prompts_4models_val.parquet")
    names = [c.removeprefix("reward:") for c in log.column_names if c.startswith("reward:")]
    usd = {name: log[f"cost_usd:{name}"].to_numpy() for name in names}
    names.sort(key=lambda name: float(usd[name].mean()))
    loss = np.column_stack([1.0 - log[f"reward:{name}"].to_numpy() for name in names])
    price = np.column_stack([usd[name] for name in names])
    return _profile(log["prompt"].to_pylist(), tuple(names), np.clip(loss, 0, 1), price)


def _profile(
    asks: Sequence[str], tiers: tuple[str, ...], loss: FloatArray, usd: FloatArray
) -> Profile:
    unknown = np.full(loss.shape, np.nan)
    return Profile(
        row_ids=tuple(map(str, range(len(asks)))),
        tiers=tiers,
        loss=loss,
        answered=np.ones(loss.shape, dtype=np.bool_),
        score=unknown,
        answer_class=np.full(loss.shape, -1, dtype=np.int64),
        classes=(),
        latency_ms=unknown,
        cost_usd=usd,
        text=tuple(asks),
    )


@dataclass(frozen=True)
class _Split:
    """What one split gave.

    Attributes:
        made: What was certified.
        single: The cheapest model that kept the floor on the planned half; None without any.
        single_usd: Its mean dollars on the rows kept aside.
        single_broke: Whether it is below the floor there.
        oracle_usd: Mean dollars of an oracle that keeps the floor on the rows kept aside.
        routed: What routers between two models gave on the rows kept aside; None for more models.
    """

    made: Made
    single: str | None
    single_usd: float
    single_broke: bool
    oracle_usd: float
    routed: tuple[Routed, Routed] | None


def oracle_usd(profile: Profile, floor: float) -> float:
    """Give the least mean dollars at which these rows reach a mean quality, one model a row.

    All losses are known to it. It is the lower bound of the problem without whole rows (a
    Lagrangian), so that no plan that asks one model a row costs less.

    Args:
        profile: The rows.
        floor: Least mean of 1 - loss. NaN when no choice reaches it.
    """
    if 1 - profile.loss.min(axis=1).mean() < floor:
        return float("nan")
    worth = np.append(0.0, np.geomspace(1e-8, 1e3, 400))
    best = 0.0
    for dollars in worth:  # weak duality: every multiplier gives a lower bound
        each = (profile.cost_usd + dollars * profile.loss).min(axis=1)
        best = max(best, float(each.mean() - dollars * (1 - floor)))
    return best


def _split(task: tuple[Brief, Profile, float, int]) -> _Split:
    brief, profile, floor, number = task
    rows = halves(profile, number)
    made = certified(brief, profile, rows, data="frontier", number=number)
    aside = profile.take(rows.aside)
    single = cheapest_that_kept(brief, profile.take(rows.planned))
    column = None if single is None else profile.tiers.index(single)
    return _Split(
        made,
        single,
        float("nan") if column is None else float(aside.cost_usd[:, column].mean()),
        column is not None and bool(1 - aside.loss[:, column].mean() < floor),
        oracle_usd(aside, floor),
        _routed(profile.take(rows.planned), aside, floor) if len(profile.tiers) == 2 else None,
    )


def _routed(planned: Profile, aside: Profile, floor: float) -> tuple[Routed, Routed] | None:
    """Route by the words of the text: fitted on half of the planned rows, set on the other half."""
    order = np.random.default_rng(len(planned)).permutation(len(planned))
    half = len(planned) // 2
    router, _ = fit_router(planned.take(np.sort(order[:half])), planned.tiers)
    if router is None:
        return None
    likes = [_likes_strong(router, rows) for rows in (planned.take(np.sort(order[half:])), aside)]
    setting = planned.take(np.sort(order[half:]))
    kept = threshold_that_kept(likes[0], setting.loss, floor)
    shows = threshold_shown(likes[0], setting.loss, floor, delta=1 - _LEVEL)
    return routed(likes[1], aside, kept, floor), routed(likes[1], aside, shows, floor)


def _likes_strong(router: Router, rows: Profile) -> FloatArray:
    foreseen = foresee_all(router, rows)
    weak, strong = (foreseen[tier] for tier in rows.tiers)
    return np.asarray(strong - weak)


def _lines(
    name: str, profile: Profile, measure: str, floors: Sequence[float], n: int, workers: int
) -> list[list[str]]:
    """Give a line for each floor."""
    lines = []
    for floor in floors:
        brief = brief_of(_BRIEF.format(measure=measure, floor=round(floor, 4), level=_LEVEL))
        tasks = [(brief, profile, floor, number) for number in range(n)]
        splits = each_split(_split, tasks, name=f"{name} {floor:.3f}", workers=workers)
        ours = [one.made for one in splits if one.made.tiers]
        plans = Counter(" > ".join(one.tiers) for one in ours).most_common(1)
        single = [one for one in splits if one.single is not None]
        names = Counter(one.single for one in single).most_common(1)
        lines.append(
            [
                f"{name}, {measure} {floor:.3f}",
                f"{len(ours)} of {n}",
                f"{sum(bool(one.aside) for one in ours)} ({sum(one.expected for one in ours):.1f})",
                _usd([one.usd for one in ours]),
                f"{_usd([one.single_usd for one in single])}"
                f" ({names[0][0]}; broke {sum(one.single_broke for one in single)})"
                if names
                else "-",
                *_of_routers([one.routed for one in splits if one.routed is not None]),
                _usd([one.oracle_usd for one in splits]),
                f"{np.median([one.made.seconds for one in splits]):.2f}",
                f"{plans[0][0]} ({plans[0][1]})" if plans else "-",
            ]
        )
    return lines


def _of_routers(found: Sequence[tuple[Routed, Routed]]) -> list[str]:
    """Give dollars and breaks of the threshold that kept the floor, and of the one shown."""
    if not found:
        return ["-", "-"]
    out = []
    for which in (0, 1):
        some = [one[which] for one in found]
        out.append(f"{_usd([one.usd for one in some])} (broke {sum(one.broke for one in some)})")
    return out


def _usd(found: Sequence[float]) -> str:
    return f"{np.mean(found) * 1000:.3f}" if len(found) else "-"


def _router_lines(name: str, profile: Profile, n: int) -> list[str]:
    """Judge the text router as RouteLLM does, on rows kept aside."""
    areas, half, most = [], [], []
    for number in range(n):
        rows = halves(profile, number)
        router, _ = fit_router(profile.take(rows.planned), profile.tiers)
        if router is None:
            return [name, "-", "-", "-"]
        aside = profile.take(rows.aside)
        right = 1 - aside.loss
        recovered = gap_recovered(_likes_strong(router, aside), right[:, 0], right[:, 1])
        areas.append(apgr(recovered))
        half.append(calls_for(recovered, 0.5))
        most.append(calls_for(recovered, 0.8))
    return [
        name,
        f"{np.mean(areas):.3f} +- {np.std(areas):.3f}",
        f"{np.mean(half):.1%}",
        f"{np.mean(most):.1%}",
    ]


def _headlines(folder: Path) -> str:
    """Hold our text model against the published figures, on the published test rows."""
    train, test = (pcsv.read_csv(folder / f"{part}.csv.gz") for part in ("train", "test"))
    text, label = _headline_columns(train.column_names)
    model = TfidfModel()
    rows = [
        Example(str(i), {"text": asked}, label=said)
        for i, (asked, said) in enumerate(
            zip(train[text].to_pylist(), train[label].to_pylist(), strict=True)
        )
    ]
    model.fit(rows, seed=0)
    given = model.answer([{"text": asked} for asked in test[text].to_pylist()])
    truth = test[label].to_pylist()
    right = sum(one.value == said for one, said in zip(given, truth, strict=True))
    low, high = interval(right, len(truth), confidence_level=0.95)
    found = f"{right / len(truth):.4f} ({low:.3f} to {high:.3f})"
    lines = [["ours: `TfidfModel`, fitted on the 5,000 training rows", found, "0"]]
    published = pcsv.read_csv(folder / "published_summary_HEADLINES_e8_full_2024.csv").to_pylist()
    seen = set()
    for line in sorted(published, key=lambda one: float(one["Test_cost"])):
        key = (line["Method"], line["Test_acc"], line["Test_cost"])
        if key not in seen:
            seen.add(key)
            accuracy, usd = float(line["Test_acc"]), float(line["Test_cost"]) * 1000
            lines.append([f"published: {line['Method']}", f"{accuracy:.4f}", f"{usd:.4f}"])
    return table(["HEADLINES, published test rows", "accuracy", "$ / 1,000"], lines)


def _headline_columns(names: Sequence[str]) -> tuple[str, str]:
    text = next(name for name in names if name in {"query", "text", "headline"})
    label = next(name for name in names if name in {"ref_answer", "label", "answer"})
    return text, label


def run(*, n_splits: int = 20, workers: int = 2) -> Section:
    """Plan at every floor of every pool and give the tables.

    Args:
        n_splits: Random halves.
        workers: Processes.
    """
    command = f"FEASIBLE_DATA_DIR=DIR python -m bench.frontiers --splits {n_splits}"
    title = "Published pools of language models"
    folders = [data_folder(f"llm_{x}") for x in ("routellm", "paretobandit")]
    headlines = data_folder("llm_frugalgpt_headlines")
    if folders[0] is None or folders[1] is None or headlines is None:
        return Section(title, command, "Not measured: FEASIBLE_DATA_DIR lacks the data sets.")
    lines, routed = [], []
    for name in ("mmlu", "gsm8k"):
        profile = routellm_profile(folders[0] / f"{name}_mixtral_gpt4.parquet")
        weak, strong = 1 - profile.loss.mean(axis=0)
        floors = [float(weak + share * (strong - weak)) for share in _SHARES]
        lines += _lines(name, profile, "accuracy", floors, n_splits, workers)
        routed.append(_router_lines(name, profile, min(n_splits, 10)))
    bandit = bandit_profile(folders[1])
    lines += _lines("ParetoBandit", bandit, "reward", _REWARDS, n_splits, workers)
    header = ["pool and floor", "certified", "broke (by chance)", "$ / 1,000", "single"]
    header += ["routed", "routed, shown", "oracle", "s", "plan, most often"]
    text = f"""\
{n_splits} random halves: one half plans, the other is kept aside. The confidence level is {_LEVEL}.
Floors of RouteLLM's pools lie {", ".join(f"{share:.0%}" for share in _SHARES)} of the way from
Mixtral to GPT-4-1106.

{table(header, lines)}

- *broke*: plans below their floor on the rows kept aside; in brackets, how often that would be by
  chance for plans exactly as their certificates counted (`bench/chance.py`); for rewards, which
  are not 0 or 1, that is more often than chance does.
- *$ / 1,000*: mean dollars per 1,000 decisions on the rows kept aside. Prices of RouteLLM's models
  are estimates from the length of texts.
- *single*: the cheapest model that kept the floor on the planned half, which shows nothing.
- *routed*: one model a row by the words of its text, as a router is commonly set: fitted on half of
  the planned rows, with the threshold that just kept the floor on the other half. *Routed, shown*:
  the threshold is tested there instead, from all rows to the stronger model downwards in steps of
  1 %, by exact binomial tests in a fixed sequence.
- *oracle*: the least price at which one model a row reaches the floor on the rows kept aside, when
  all losses are known.

RouteLLM's own metrics of a router between the two models, on the rows kept aside, for the words of
the text alone (`feasible.cascade.foresee`), mean over {min(n_splits, 10)} halves; a random router
has 0.5, 50 % and 80 %.

{table(["router", "APGR", "CPT(50 %)", "CPT(80 %)"], routed)}

{_headlines(headlines)}

The published models are asked with a prompt; FrugalGPT's cascades were set on the training rows.
"""
    return Section(title, command, text)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--splits", type=int, default=20)
    arguments.add_argument("--workers", type=int, default=2)
    asked = arguments.parse_args()
    print(run(n_splits=asked.splits, workers=asked.workers).text)
