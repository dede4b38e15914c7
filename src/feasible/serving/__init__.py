"""Answer requests inside the envelope: one deadline, declared fallbacks, a durable decision each.

A request walks the plan's tiers by `cascade.route` and its answer leaves after its decision is in
the ledger. This room never chooses a threshold, judges a promise or joins a label.
"""

from feasible.serving.asgi import Service, build_app
from feasible.serving.budget import Budgets, Standing, standing_by, with_money
from feasible.serving.channel import send_failure
from feasible.serving.gate import Gate
from feasible.serving.key_file import KeyScope, default_key_file, new_key, read_keys, revoke_key
from feasible.serving.keys import ApiKeys, keys_from_environment, keys_from_file
from feasible.serving.letters import answer_letters, letters_folder, send_letter
from feasible.serving.live import LiveRuntime
from feasible.serving.messages import DecideRequest, DecisionReply, LabelsReply, Problem
from feasible.serving.options import FrontOptions, LogLevel, gate_of, observer_of
from feasible.serving.plan_desk import PlanDesk, PlanOrder
from feasible.serving.rates import rate_of
from feasible.serving.runtime import Decided, Runtime
from feasible.serving.server import Control, listen, run
from feasible.serving.several import Alone, Several, worker_handlers
from feasible.serving.shadow import Shadow
from feasible.serving.supervisor import Supervisor

__all__ = [
    "Alone",
    "ApiKeys",
    "Budgets",
    "Control",
    "DecideRequest",
    "Decided",
    "DecisionReply",
    "FrontOptions",
    "Gate",
    "KeyScope",
    "LabelsReply",
    "LiveRuntime",
    "LogLevel",
    "PlanDesk",
    "PlanOrder",
    "Problem",
    "Runtime",
    "Service",
    "Several",
    "Shadow",
    "Standing",
    "Supervisor",
    "answer_letters",
    "build_app",
    "default_key_file",
    "gate_of",
    "keys_from_environment",
    "keys_from_file",
    "letters_folder",
    "listen",
    "new_key",
    "observer_of",
    "rate_of",
    "read_keys",
    "revoke_key",
    "run",
    "send_failure",
    "send_letter",
    "standing_by",
    "with_money",
    "worker_handlers",
]
