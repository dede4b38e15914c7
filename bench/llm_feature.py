"""The support system with a language model that is only pretended: what a simulation is held to.

    python -m bench.llm_feature FOLDER

writes and plans it there, for `feasible serve FOLDER` by hand. The rows, the rules and the small
model are the support system's own; the sentence model is left out, since its work would make the
figures those of the processor and not of the queues. All that the small model is not most sure of
goes to the pretended vendor, whose calls wait and use no processor. Its latencies are those of
`SimulatedLLM`; one text in ten it does not know, and one call in ten fails.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np

from feasible.cascade import Policy, table_of
from feasible.folder import Feature
from feasible.planning import read_profile
from feasible.schema import (
    DEFAULT_GROUP,
    Calibrator,
    Plan,
    PlanTier,
    TierKind,
    read_plan,
    write_json,
)
from feasible.systems import open_feature

__all__ = ["FAILS", "FAILS_AFTER_S", "LLM", "OUTAGE", "SLOTS", "write_llm_feature"]

LLM = "simulated_llm"
SLOTS = 96
"""Calls under way at most: the service keeps them, and the brief declares them."""
FAILS, FAILS_AFTER_S = 0.1, 0.05
"""Share of the vendor's calls that fail, and after how long."""
OUTAGE = "outage"
"""File beside the feature; while it is there every call fails."""
_TO_LLM = 0.85
"""Share of the rows that the machine tiers before it do not answer."""
_BRIEF = f"""\
feasible: 1
name: support_llm
goal:
  statement: Answer merchants' questions without a person
  metric: resolution_minutes
  now: 42
  target: 15
envelope:
  - {{latency: p99, at_most: 1.6 s}}
  - {{cost: mean, at_most: $0.45}}
  - {{people: reviews, at_most: 25 %}}
  - {{quality: accuracy, on: in_scope, at_least: 0.70, confidence_level: 0.95}}
traffic:
  rate: 50 / s
  arrivals: poisson
  slices: {{in_scope: 98 %, out_of_scope: 2 %}}
  repeated: 20 %
layers:
  tiers:
    - {{name: cache, kind: cache, usd: $0, latency_p95: 1 ms, ttl: 30 min, size: 50000}}
    - {{name: rules, kind: rules, use: "feasible.systems.support.tiers:Rules", usd: $0.000001}}
    - {{name: tfidf, kind: model, use: "feasible.tiers:TfidfModel", usd: $0.00001}}
    - name: {LLM}
      kind: llm
      use: "tiers:LLM"
      usd: $0.0001
      concurrency: {SLOTS}
      breaker: 75 % of 20 calls fail
    - {{name: person, kind: person, usd: $1.50, error_rate: 2 %, capacity: 40 / s}}
  serving:
    deadline: 5 s
    fallback: {{default: person}}
"""
_DATA = """\
from feasible.systems.support.data import examples, slices
"""
_TIERS = f'''\
"""A vendor that is pretended: it waits as long as a real one would, and knows most answers."""

import asyncio
import random
import zlib
from pathlib import Path

from feasible.errors import TierError
from feasible.systems.support.data import examples
from feasible.tiers import SimulatedLLM

_OUTAGE = Path(__file__).with_name("{OUTAGE}")
_LUCK = random.Random(1)  # of every call anew: what failed once may succeed when asked again
_ANSWERS = {{row.request["text"]: str(row.label) for row in examples().examples}}


def truth(request):
    text = str(request.get("text", ""))
    return None if zlib.crc32(text.encode()) % 10 == 0 else _ANSWERS.get(text)


class Vendor(SimulatedLLM):
    async def answer_async(self, request, *, timeout_s):
        if _OUTAGE.exists() or _LUCK.random() < {FAILS}:
            await asyncio.sleep({FAILS_AFTER_S})
            raise TierError("the simulated vendor answers with an error")
        return await super().answer_async(request, timeout_s=timeout_s)


LLM = Vendor(model="claude-3-haiku", truth=truth, accuracy=1.0)
'''


def write_llm_feature(parent: Path) -> Path:
    """Write the feature, plan it, put the pretended vendor into its plan, and give its folder.

    No planner sends anything to a simulated tier, so that the plan is changed by hand here and
    its certificate dropped: it is for load, and claims no quality.

    Args:
        parent: Folder that it is made in, as `support_llm`.

    Raises:
        subprocess.CalledProcessError: `feasible plan` refused it.
    """
    folder = parent / "support_llm"
    folder.mkdir()
    (folder / "brief.yaml").write_text(_BRIEF, encoding="utf-8")
    (folder / "data.py").write_text(_DATA, encoding="utf-8")
    (folder / "tiers.py").write_text(_TIERS, encoding="utf-8")
    command = [sys.executable, "-m", "feasible", "plan", str(folder), "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    feature = open_feature(str(folder))
    made = read_plan(feature.plan_path)
    write_json(_with_vendor(feature, made), feature.plan_path)
    return folder


def _with_vendor(feature: Feature, made: Plan) -> Plan:
    """Put the vendor before the person, and let the tier before it answer the rest of the rows."""
    profile = read_profile(feature.profile_path)
    *machines, before, person = made.tiers
    policy = Policy.from_plan(made)
    table = table_of(policy, profile, router=made.router)
    bar = float(np.quantile(table.probability[:, len(machines)], _TO_LLM))
    before = msgspec.structs.replace(before, thresholds={DEFAULT_GROUP: bar})
    always = Calibrator(method="constant", x=(0.0,), y=(1.0,), n=0)
    vendor = feature.tiers(made.labels)[LLM]
    took_ms = profile.latency_ms[:, profile.tiers.index(LLM)]
    p50_ms, p95_ms = np.quantile(took_ms, [0.5, 0.95]).tolist()
    added = PlanTier(
        name=LLM,
        kind=TierKind.LLM,
        version=vendor.version,
        share=0.0,
        thresholds={DEFAULT_GROUP: 0.0},
        groups={},
        calibrators={DEFAULT_GROUP: always},
        latency_p50_ms=p50_ms,
        latency_p95_ms=p95_ms,
        cost_usd=vendor.usd_per_call,
        worst_cost_usd=vendor.worst_usd_per_call,
        simulated=True,
    )
    tiers = (*machines, before, added, person)
    return msgspec.structs.replace(made, tiers=tiers, certificate=()).with_id()


if __name__ == "__main__":
    print(write_llm_feature(Path(sys.argv[1])))
