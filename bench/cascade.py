"""Three tiers, each of which earns its place: a certified cascade, and what it is without each.

    FEASIBLE_DATA_DIR=DIR python -m bench.cascade --seeds 60

Posts, tiers and prices are those of `bench/moderation.py`, without `llama70b`. For every seed the
posts are divided once. The brief is planned with all tiers, then again without each of them, and
the same posts certify all of these plans, so that their costs are compared post by post.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from bench.halves import brief_of, each_split
from bench.moderation import moderation_profile
from bench.page import Section, table
from bench.peers.data import data_folder

from feasible.cascade import Policy, Routed, route_rows, table_of
from feasible.planning import plan_profile, split_rows
from feasible.schema import Brief, Plan, PlanReport, Profile

__all__ = ["LEAST_SHARE", "TIERS", "plans_without", "run"]

TIERS = ("text", "gpt35", "person")
LEAST_SHARE = 0.03
"""Of the posts that certify, what every tier has to answer."""
_HATE = 0
"""What `hate` is among the classes of `moderation_profile`."""
_PERSON_USD = 0.05
_BRIEF = f"""\
feasible: 1
name: posts
goal: {{statement: Find hate}}
envelope:
  - {{quality: recall, of: hate, at_least: 0.95, confidence_level: 0.9}}
  - {{quality: accuracy, at_least: 0.90, confidence_level: 0.9}}
layers:
  tiers:
    - {{name: text, kind: model, usd: $0}}
    - {{name: gpt35, kind: llm}}
    - {{name: person, kind: person, error_rate: 0 %, usd: ${_PERSON_USD}}}
"""


def plans_without(profile: Profile, *, seed: int) -> dict[str | None, PlanReport]:
    """Plan with all tiers (None), and again without each of them (its name).

    Args:
        profile: The posts. The same of them fit, search and certify for all plans.
        seed: Of the division and of the search.
    """
    is_test = np.zeros(len(profile), dtype=np.bool_)
    is_test[split_rows(profile, seed=seed).cert] = True
    posts, brief = replace(profile, is_test=is_test), brief_of(_BRIEF)
    return {
        tier: plan_profile(
            _brief_without(brief, tier),
            _posts_without(posts, tier),
            data="posts",
            synthetic=False,
            seed=seed,
        )
        for tier in (None, *TIERS)
    }


def _brief_without(brief: Brief, tier: str | None) -> Brief:
    kept = tuple(spec for spec in brief.layers.tiers if spec.name != tier)
    layers = msgspec.structs.replace(brief.layers, tiers=kept)
    return msgspec.structs.replace(brief, layers=layers)


def _posts_without(profile: Profile, tier: str | None) -> Profile:
    kept = [k for k, name in enumerate(profile.tiers) if name != tier]
    return replace(
        profile,
        tiers=tuple(profile.tiers[k] for k in kept),
        loss=profile.loss[:, kept],
        answered=profile.answered[:, kept],
        score=profile.score[:, kept],
        answer_class=profile.answer_class[:, kept],
        latency_ms=profile.latency_ms[:, kept],
        cost_usd=profile.cost_usd[:, kept],
    )


@dataclass(frozen=True)
class _Seed:
    """What one seed gave.

    Attributes:
        shares: Tier -> share of the posts that certify that it answers; empty without a plan.
        usd: Tier left out (None: all are there) -> mean dollars a decision; None without a plan.
    """

    shares: dict[str, float]
    usd: dict[str | None, float | None]

    @property
    def is_certified(self) -> bool:
        """Claim that all tiers together gave a plan."""
        return self.usd[None] is not None

    @property
    def is_of_three(self) -> bool:
        """Claim that every tier answers enough posts."""
        return all(self.shares.get(tier, 0.0) >= LEAST_SHARE for tier in TIERS)

    def needs(self, tier: str) -> bool:
        """Claim that without a tier the plan costs more or is not certified."""
        whole, rest = self.usd[None], self.usd[tier]
        return whole is not None and (rest is None or rest > whole)

    @property
    def holds(self) -> bool:
        """Claim all of it."""
        return self.is_of_three and all(self.needs(tier) for tier in TIERS)


def _each_seed(task: tuple[Profile, int]) -> _Seed:
    return _seed_of(plans_without(task[0], seed=task[1]))


def _seed_of(found: dict[str | None, PlanReport]) -> _Seed:
    usd = {
        tier: None if made.plan is None else made.plan.forecast.cost_usd
        for tier, made in found.items()
    }
    plan = found[None].plan
    return _Seed({} if plan is None else {t.name: t.share for t in plan.tiers}, usd)


def run(*, n_seeds: int = 60, workers: int = 2) -> Section:
    """Show the plan of seed 0 and what removing each tier does, there and for all seeds.

    Args:
        n_seeds: Seeds, from 0.
        workers: Processes.
    """
    command = f"FEASIBLE_DATA_DIR=DIR python -m bench.cascade --seeds {n_seeds}"
    title = "A cascade of three tiers"
    folder = data_folder("moderation_stormfront_llm")
    if folder is None:
        return Section(title, command, "Not measured: FEASIBLE_DATA_DIR names no such data set.")
    profile = moderation_profile(folder, llms=("gpt35",))
    tasks = [(profile, seed) for seed in range(n_seeds)]
    seeds = each_split(_each_seed, tasks, name="cascade", workers=workers)
    found = plans_without(profile, seed=0)
    plan = found[None].plan
    if plan is None:
        return Section(title, command, "With seed 0 no plan was certified.")
    judging = profile.take(split_rows(profile, seed=0).cert)
    text = f"""\
{len(profile):,} posts, {len(judging):,} of which certify. {_alone(found[None])}

The plan of seed 0, and the posts that certify:

{_answers(plan, judging)}

Its certificate, on the same posts:

{_certificate(plan)}

Planned again without each tier, on the same posts:

{_removed(found, seeds, judging)}

- *more per 1,000*: mean over pairs of costs of one post, with a two-sided 95 % interval.
- *mean of seeds*: mean dollars per 1,000 decisions over the seeds in which a plan was certified.
- *dearer or lost*: seeds in which the cost is higher without the tier, or the certificate is lost.

{_robust(seeds)}

{_why(found)}
"""
    return Section(title, command, text)


def _alone(report: PlanReport) -> str:
    told = [
        f"{one.name} is right about {one.quality['accuracy']:.1%}, finds "
        f"{one.quality['recall_hate']:.1%} of hate at ${(one.cost_usd or 0) * 1000:.2f} per 1,000"
        for one in report.comparisons
    ]
    return f"On those, asked alone: {'; '.join(told)}."


def _answers(plan: Plan, judging: Profile) -> str:
    """Give each tier's answers; a person, who is always right, says what is true."""
    posts, left = _with_person(judging), _routed(plan, judging).position
    lines = []
    for k, tier in enumerate(plan.tiers):
        column, here = posts.tiers.index(tier.name), left == k
        lines.append(
            [
                f"`{tier.name}`",
                f"{here.mean() * 100:.1f}",
                f"{(posts.answer_class[here, column] == _HATE).mean() * 100:.1f}",
                f"{(1 - posts.loss[here, column].mean()) * 100:.1f}",
                f"{(tier.cost_usd or 0.0) * 1000:.3f}",
            ]
        )
    header = ["tier", "answers, % of posts", "of these `hate`, %", "right about them, %"]
    return table([*header, "$ per 1,000 calls"], lines)


def _certificate(plan: Plan) -> str:
    lines = [
        [
            "recall of hate" if line.objective == "recall_hate" else line.objective,
            f"{line.limit * 100:.0f}",
            f"{line.n:,}",
            f"{line.misses:.0f}",
            f"{(line.value or 0.0) * 100:.2f}",
            f"{(line.bound or 0.0) * 100:.2f}",
        ]
        for line in plan.certificate
    ]
    return table(["promise", "at least, %", "posts", "misses", "value, %", "bound, %"], lines)


def _removed(found: dict[str | None, PlanReport], seeds: Sequence[_Seed], judging: Profile) -> str:
    whole = found[None].plan
    lines = []
    for tier, made in found.items():
        of_seeds = [usd for one in seeds if (usd := one.usd[tier]) is not None]
        mean = f"{np.mean(of_seeds) * 1000:.2f}" if of_seeds else "-"
        needed = f"{sum(one.needs(tier) for one in seeds)} of {len(seeds)}" if tier else "-"
        name = f"without `{tier}`" if tier else "all three"
        plan = made.plan
        if plan is None or whole is None:
            lines.append([name, "not certified", "-", "-", mean, needed])
            continue
        usd = (plan.forecast.cost_usd or 0.0) * 1000
        shares = ", ".join(f"`{one.name}` {one.share * 100:.1f}" for one in plan.tiers)
        more = _more(plan, whole, judging) if tier else "-"
        lines.append([name, shares, f"{usd:.2f}", more, mean, needed])
    header = ["tiers", "answers, % of posts", "$ per 1,000", "more per 1,000", "mean of seeds"]
    return table([*header, "dearer or lost"], lines)


def _more(plan: Plan, whole: Plan, judging: Profile) -> str:
    """Give what a plan costs more, in pairs of costs of one post."""
    more = (_routed(plan, judging).cost_usd - _routed(whole, judging).cost_usd) * 1000
    spread = 1.96 * more.std(ddof=1) / np.sqrt(len(more))
    return f"{more.mean():.2f} ({more.mean() - spread:.2f} to {more.mean() + spread:.2f})"


def _routed(plan: Plan, posts: Profile) -> Routed:
    policy = Policy.from_plan(plan)
    return route_rows(policy, table_of(policy, _with_person(posts), router=plan.router))


def _with_person(posts: Profile) -> Profile:
    """Give the posts with a person who is always right as the last tier."""
    n, is_hate = len(posts), posts.truth.among(frozenset({"hate"}))
    unknown = np.full(n, np.nan)
    return replace(
        posts,
        tiers=(*posts.tiers, "person"),
        loss=np.column_stack([posts.loss, np.zeros(n)]),
        answered=np.column_stack([posts.answered, np.ones(n, dtype=np.bool_)]),
        score=np.column_stack([posts.score, unknown]),
        answer_class=np.column_stack([posts.answer_class, np.where(is_hate, _HATE, -1)]),
        latency_ms=np.column_stack([posts.latency_ms, unknown]),
        cost_usd=np.column_stack([posts.cost_usd, np.full(n, _PERSON_USD)]),
    )


def _robust(seeds: Sequence[_Seed]) -> str:
    """Count the seeds for which it holds, and name the others."""
    certified, of_three, hold = (
        sum(claims)
        for claims in zip(*((s.is_certified, s.is_of_three, s.holds) for s in seeds), strict=True)
    )
    others = ", ".join(str(number) for number, seed in enumerate(seeds) if not seed.holds)
    return f"""\
- {certified} of {len(seeds)} seeds certify a plan with all tiers.
- In {of_three} each of three tiers answers at least {LEAST_SHARE:.0%} of the posts that certify.
- In {hold} removing any of them also raises the cost or loses the certificate; not in these seeds:
  {others or "none"}."""


def _why(found: dict[str | None, PlanReport]) -> str:
    """Say why a certificate is lost."""
    return " ".join(
        f"Without `{tier}`: {'; '.join(made.infeasible.because)}."
        for tier, made in found.items()
        if made.infeasible is not None
    )


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, default=60)
    arguments.add_argument("--workers", type=int, default=2)
    given = arguments.parse_args()
    print(run(n_seeds=given.seeds, workers=given.workers).text)
