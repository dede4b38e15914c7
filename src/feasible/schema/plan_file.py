"""Plans as files: JSON, written whole or not at all, refused when they are not what they say."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec

from feasible.errors import PlanError
from feasible.schema.brief import Brief
from feasible.schema.brief_file import BriefFile, dump_brief, parse_brief
from feasible.schema.plan import Plan

__all__ = ["brief_fingerprint", "brief_of", "read_plan", "write_json"]


def write_json(value: Any, path: Path) -> None:
    """Write a record as indented JSON; a reader sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(text + b"\n")
    part.replace(path)


def read_plan(path: Path) -> Plan:
    """Read a plan and check that it is the one its id names.

    Raises:
        PlanError: It is not there, not a plan, or was edited.
    """
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=Plan)
    except FileNotFoundError as error:
        raise PlanError(
            f"no plan at {path}",
            asked=str(path.absolute()),
            found="no such file",
            attempt="make one with `feasible plan NAME`, or go to the folder where it was made",
        ) from error
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise PlanError(
            f"{path} is not a plan", found=str(error), attempt="make it again with `feasible plan`"
        ) from error
    if plan.with_id().id != plan.id:
        raise PlanError(
            f"{path} was changed after it was made",
            asked=f"the plan {plan.id}",
            found=f"content that hashes to {plan.with_id().id}",
            attempt="make it again with `feasible plan`",
        )
    return plan


def brief_fingerprint(brief: Brief) -> str:
    """Give a hash of what a brief declares; spelling and comments do not matter."""
    return hashlib.sha256(dump_brief(brief).encode()).hexdigest()[:16]


def brief_of(plan: Plan) -> BriefFile:
    """Give the brief that a plan was made for."""
    return parse_brief(plan.brief_yaml, path=Path(f"{plan.feature}/brief.yaml"))
