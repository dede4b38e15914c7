"""A moderation cascade from logged answers of language models, certified, against what peers do.

    FEASIBLE_DATA_DIR=DIR python -m bench.moderation --splits 200

Posts are `hate` or `noHate` (8,028 posts of the data set `moderation_stormfront_llm`). Tiers:

- `text`: `feasible.tiers:TfidfModel`, cross-fitted once: the posts are cut into five parts at
  random and each part is answered by a model fitted on the other four, so that no post is answered
  by a model that saw it. It costs nothing.
- `gpt35` and `llama70b`: logged yes or no, without a score. Prices are estimates: a quarter of the
  text's characters plus 60 tokens in, 1 token out, at $0.0010 and $0.0020 per 1,000 tokens
  (GPT-3.5-turbo-1106's list price) and $0.0007 and $0.0009 (a hosted Llama 2 70B).
- `person`: $0.05, always right.

For every split half of the posts are planned from and the other half are kept aside. Of those
planned from, our planner keeps 40 % to certify; peers choose on all of them.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.csv as pcsv
from bench.halves import Halves, brief_of, certified, each_split, halves
from bench.page import Section, table
from bench.peers.data import data_folder
from bench.peers.empirical import Choice, exits, gates_of, reliability, search, with_margins
from bench.peers.mapie_choice import has_mapie, mapie_choice
from bench.peers.oracle import oracle
from bench.peers.outcomes import Outcomes, outcomes

from feasible.schema import Brief, Example, FloatArray, IntArray, Profile
from feasible.stats import binomial_p_value
from feasible.tiers import TfidfModel

__all__ = ["moderation_profile", "run"]

_SEED = 20261124
_CLASSES = ("hate", "noHate")
_USD_PER_1K = {"gpt35": (0.0010, 0.0020), "llama70b": (0.0007, 0.0009)}
_LOGGED = {"gpt35": "gpt35_1106_hate", "llama70b": "llama2_70b_hate"}
_PROMPT_TOKENS = 60
_FOLDS = 5
_BRIEF = """\
feasible: 1
name: posts
goal: {statement: Find hate}
envelope:
  - {quality: recall, of: hate, at_least: 0.95, confidence_level: 0.9}
  - {quality: accuracy, at_least: 0.90, confidence_level: 0.9}
layers:
  tiers:
    - {name: text, kind: model, usd: $0}
    - {name: gpt35, kind: llm}
    - {name: llama70b, kind: llm}
    - {name: person, kind: person, error_rate: 0 %, usd: $0.05}
"""
_FLOORS = {"recall": 0.95, "accuracy": 0.90}
_LEVEL = 0.9
_PERSON_USD = 0.05
_MARGINS = tuple(np.linspace(0, 5, 26).tolist())
_OURS, _ORACLE = "ours, certified", "oracle"
_EMPIRICAL = {"empirical": False, "empirical, by answer": True}
"""Rule -> whether a tier has one threshold for each answer."""


def moderation_profile(folder: Path, llms: Sequence[str] = ("gpt35", "llama70b")) -> Profile:
    """Give the posts with every tier's answer, price, and the text model's score.

    Args:
        folder: Folder of the data set.
        llms: Logged models that become tiers.
    """
    posts = pcsv.read_csv(folder / "posts_until_cut.csv.gz")
    texts, labels = posts["text"].to_pylist(), posts["label"].to_pylist()
    n = len(texts)
    tiers = ("text", *llms)
    given = np.empty((n, len(tiers)), dtype=np.int64)
    score = np.full((n, len(tiers)), np.nan)
    cost = np.zeros((n, len(tiers)))
    given[:, 0], score[:, 0] = _cross_fitted(texts, labels)
    length = np.array([len(text) for text in texts])
    for k, name in enumerate(llms, start=1):
        said = np.array(posts[_LOGGED[name]].to_pylist(), dtype=np.bool_)
        given[:, k] = np.where(said, 0, 1)
        dollars_in, dollars_out = _USD_PER_1K[name]
        cost[:, k] = ((length / 4 + _PROMPT_TOKENS) * dollars_in + dollars_out) / 1000
    truth = np.array([_CLASSES.index(label) for label in labels])
    return Profile(
        row_ids=tuple(str(i) for i in posts["file_id"].to_pylist()),
        tiers=tiers,
        loss=(given != truth[:, None]).astype(np.float64),
        answered=np.ones((n, len(tiers)), dtype=np.bool_),
        score=score,
        answer_class=given,
        classes=_CLASSES,
        latency_ms=np.full((n, len(tiers)), np.nan),
        cost_usd=cost,
        label=tuple(labels),
        text=tuple(texts),
    )


def _cross_fitted(texts: Sequence[str], labels: Sequence[str]) -> tuple[IntArray, FloatArray]:
    """Answer every post by a model that never saw it."""
    n = len(texts)
    part = np.random.default_rng(_SEED).permutation(n) % _FOLDS
    rows = [
        Example(str(i), {"text": text}, label=label)
        for i, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    given, score = np.empty(n, dtype=np.int64), np.empty(n)
    for fold in range(_FOLDS):
        model = TfidfModel()
        model.fit([rows[i] for i in np.flatnonzero(part != fold)], seed=0)
        held = np.flatnonzero(part == fold)
        for i, answer in zip(held, model.answer([rows[i].request for i in held]), strict=True):
            given[i], score[i] = _CLASSES.index(answer.value), answer.score
    return given, score


@dataclass(frozen=True)
class _Ruled:
    """What one rule chose on one split.

    Attributes:
        rule: Its name.
        chain: Tiers; empty without a choice.
        together: Promises broken on the rows that certify and those kept aside.
        aside: Promises broken on the rows kept aside.
        everywhere: Promises broken on all posts.
        usd: Mean dollars a decision on the rows kept aside.
        seconds: To choose; None when it is not told.
        expected: Chance that the rows kept aside break any promise, as the certificate tells.
    """

    rule: str
    chain: tuple[str, ...]
    together: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    everywhere: tuple[str, ...] = ()
    usd: float = float("nan")
    seconds: float | None = None
    expected: float | None = None


def _split(task: tuple[Brief, Profile, int]) -> list[_Ruled]:
    """Let every rule choose on one half and judge it on rows that it did not search."""
    brief, profile, number = task
    rows = halves(profile, number)
    ours = certified(brief, profile, rows, data="posts", number=number)
    out = [
        _Ruled(
            _OURS,
            ours.tiers,
            ours.together,
            ours.aside,
            ours.everywhere,
            ours.usd,
            ours.seconds,
            ours.expected if ours.tiers else None,
        )
    ]
    for rule, by_class in _EMPIRICAL.items():
        began = time.perf_counter()
        sure = reliability(profile, rows.planned)
        planned = profile.take(rows.planned)
        choice = search(brief, planned, sure[rows.planned], by_class=by_class)
        seconds = time.perf_counter() - began
        out.append(_judged(rule, choice, brief, profile, sure, rows, seconds))
    out += _with_certificates(brief, profile, rows)
    wise = oracle(profile.take(rows.aside), person_usd=_PERSON_USD)
    return [*out, _Ruled(_ORACLE, ("oracle",), usd=wise)]


def _with_certificates(brief: Brief, profile: Profile, rows: Halves) -> list[_Ruled]:
    """Certify the peers' own candidates, from bold to safe, on the rows that certify."""
    rest = np.setdiff1d(rows.planned, rows.cert)
    sure = reliability(profile, rest)
    found = with_margins(
        brief, profile.take(rest), sure[rest], _MARGINS, cert_share=len(rows.cert) / len(rest)
    )
    seen = [outcomes(brief, profile.take(rows.cert), one.chain) for one in found]
    leaves = [_leaves(one, profile, sure)[rows.cert] for one in found]
    passed = None
    for k in reversed(range(len(found))):  # from the safest on, until the first that fails
        if not all(_is_shown(seen[k], leaves[k], j) for j in range(len(brief.envelope))):
            break
        passed = k
    chosen = {"by answer, fixed sequence": passed}
    if has_mapie():
        truth = profile.truth.among(frozenset({"hate"})).astype(np.int64)
        said = np.column_stack([_says_hate(one, profile, sure) for one in found])
        made = mapie_choice(said[rows.cert], truth[rows.cert], _FLOORS, confidence_level=_LEVEL)
        chosen["by answer, MAPIE's choice"] = made.own
        chosen["by answer, MAPIE's cheapest"] = min(
            made.valid, key=lambda k: found[k].cost_usd, default=None
        )
    return [
        _judged(rule, None if k is None else found[k], brief, profile, sure, rows, None)
        for rule, k in chosen.items()
    ]


def _is_shown(seen: Outcomes, leaves: IntArray, position: int) -> bool:
    misses, n = seen.misses(position, leaves)
    return binomial_p_value(round(misses), n, limit=seen.limits[position]) <= 1 - _LEVEL


def _leaves(choice: Choice, profile: Profile, sure: FloatArray) -> IntArray:
    gates = gates_of(profile, sure, choice.chain, by_class=choice.by_class)
    return exits(gates, choice.thresholds)


def _says_hate(choice: Choice, profile: Profile, sure: FloatArray) -> IntArray:
    """Give 1 where a choice answers `hate`; a person says the truth."""
    leaves = _leaves(choice, profile, sure)
    said = profile.truth.among(frozenset({"hate"})).astype(np.int64)
    for place, name in enumerate(choice.chain):
        if name in profile.tiers:
            here = leaves == place
            said[here] = profile.answer_class[here, profile.tiers.index(name)] == 0
    return said


def _judged(
    rule: str,
    choice: Choice | None,
    brief: Brief,
    profile: Profile,
    sure: FloatArray,
    rows: Halves,
    seconds: float | None,
) -> _Ruled:
    if choice is None:
        return _Ruled(rule, ())
    leaves = _leaves(choice, profile, sure)
    together, aside, everywhere = (
        outcomes(brief, profile.take(some), choice.chain).broken(leaves[some])
        for some in (rows.together, rows.aside, np.arange(len(profile)))
    )
    usd = outcomes(brief, profile.take(rows.aside), choice.chain).cost_usd(leaves[rows.aside])
    return _Ruled(rule, choice.chain, together, aside, everywhere, usd, seconds)


def run(*, n_splits: int = 200, workers: int = 2) -> Section:
    """Let every rule choose on random halves and give the tables.

    Args:
        n_splits: Random halves.
        workers: Processes.
    """
    command = f"FEASIBLE_DATA_DIR=DIR python -m bench.moderation --splits {n_splits}"
    title = "Moderation: certified against empirical thresholds"
    folder = data_folder("moderation_stormfront_llm")
    if folder is None:
        return Section(title, command, "Not measured: FEASIBLE_DATA_DIR names no such data set.")
    profile, brief = moderation_profile(folder), brief_of(_BRIEF)
    tasks = [(brief, profile, number) for number in range(n_splits)]
    splits = each_split(_split, tasks, name="moderation", workers=workers)
    chosen = [one for split in splits for one in split if one.chain]
    mapie = "" if has_mapie() else "\n- MAPIE was not installed and has no line."
    text = f"""\
{len(profile):,} posts, {n_splits} random halves. Promised: recall of hate >= 95 % and accuracy
>= 90 %, each at a confidence level of 0.9. {_alone(profile)}

{_table(chosen, n_splits)}

- *chose*: splits with a choice; for ours, a certificate.
- *broke, CERT and aside*: splits in which either promise was below its floor on the rows that
  certified and the rows kept aside together. Both are rows our search did not see. The empirical
  rules did see the former, which flatters them.
- *broke, aside*: the same on the rows kept aside alone; *by chance*: how often other rows would
  break either promise of a plan that is exactly as its certificate counted (beta-binomial, the two
  promises taken as independent; `bench/chance.py`).
- *broke, all*: the same on all posts. A confidence level of {_LEVEL} allows 10 % of splits.
- *$ / 1,000*: mean dollars per 1,000 decisions on the rows kept aside.
- *empirical* has one threshold a tier, as published; *by answer* one a tier and answer. Both choose
  on all planned rows, and their reliability of a tier knows what cheaper tiers said.
- *by answer, ...*: the second one's candidates at limits drawn ever tighter, searched without the
  rows that certify, then tested on these: by exact binomial tests in a fixed sequence from the
  safest on, or by MAPIE (Holm's correction), whose own choice knows no price.
- *oracle*: every post by the cheapest tier that is right about it, asked alone.
- Plans of ours: {_plans(chosen, _OURS)}; of *empirical*: {_plans(chosen, "empirical")}; of
  *empirical, by answer*: {_plans(chosen, "empirical, by answer")}.{mapie}
"""
    return Section(title, command, text)


def _alone(profile: Profile) -> str:
    hate = profile.truth.among(frozenset({"hate"}))
    told = [
        f"`{name}` alone is right about {1 - profile.loss[:, k].mean():.1%} and finds "
        f"{1 - profile.loss[hate, k].mean():.1%} of hate"
        for k, name in enumerate(profile.tiers)
    ]
    return "; ".join(told) + "."


def _table(chosen: Sequence[_Ruled], n_splits: int) -> str:
    base = float(np.mean([one.usd for one in chosen if one.rule == "empirical"]))
    header = ["rule", "chose", "broke, CERT and aside", "broke, aside (by chance)", "broke, all"]
    header += ["$ / 1,000", "against empirical", "s"]
    lines = []
    for rule in dict.fromkeys(one.rule for one in chosen):
        made = [one for one in chosen if one.rule == rule]
        usd = float(np.mean([one.usd for one in made]))
        money = [f"{usd * 1000:.2f}", f"{usd / base - 1:+.0%}"]
        if rule == _ORACLE:
            lines.append([rule, "-", "-", "-", "-", *money, "-"])
            continue
        known = [one.expected for one in made if one.expected is not None]
        took = [one.seconds for one in made if one.seconds is not None]
        chance = f" ({sum(known):.1f})" if known else ""
        lines.append(
            [
                rule,
                f"{len(made)} of {n_splits}",
                str(sum(bool(one.together) for one in made)),
                f"{sum(bool(one.aside) for one in made)}{chance}",
                str(sum(bool(one.everywhere) for one in made)),
                *money,
                f"{np.median(took):.2f}" if took else "-",
            ]
        )
    return table(header, lines)


def _plans(chosen: Sequence[_Ruled], rule: str) -> str:
    plans = Counter(" > ".join(one.chain) for one in chosen if one.rule == rule)
    return ", ".join(f"{plan} {count}" for plan, count in plans.most_common(4)) or "none"


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--splits", type=int, default=200)
    arguments.add_argument("--workers", type=int, default=2)
    given = arguments.parse_args()
    print(run(n_splits=given.splits, workers=given.workers).text)
