"""Answer requests inside the envelope: one deadline, declared fallbacks, a durable decision each.

A request walks the plan's tiers by `cascade.route` and its answer leaves after its decision is in
the ledger. This room never chooses a threshold, judges a promise or joins a label.
"""

from feasible.serving.asgi import Service, build_app
from feasible.serving.channel import send_failure
from feasible.serving.keys import ApiKeys, keys_from_environment
from feasible.serving.messages import DecideRequest, DecisionReply, LabelsReply, Problem
from feasible.serving.runtime import Decided, Runtime
from feasible.serving.server import Control, listen, run
from feasible.serving.supervisor import Supervisor

__all__ = [
    "ApiKeys",
    "Control",
    "DecideRequest",
    "Decided",
    "DecisionReply",
    "LabelsReply",
    "Problem",
    "Runtime",
    "Service",
    "Supervisor",
    "build_app",
    "keys_from_environment",
    "listen",
    "run",
    "send_failure",
]
