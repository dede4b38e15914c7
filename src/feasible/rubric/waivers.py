"""Findings that a team lives with, each with its reason: shown and counted, never hidden."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from feasible.errors import BadInput, nearest
from feasible.rubric.lexicon import says_something
from feasible.rubric.records import Finding, Risk
from feasible.schema import convert_yaml, read_yaml

__all__ = ["FILE", "KNOWN", "Waiver", "read_waivers", "waived"]

FILE: Final = "waivers.yaml"
"""Stands beside the brief."""
KNOWN: Final = (*(f"A{n}" for n in range(1, 16)), *(f"R{n}" for n in range(1, 9)))
"""Ids of the findings that the review makes; a lens adds its own."""


class Waiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One finding that is accepted."""

    finding: str
    """Id, for example `A14`."""
    reason: str
    """Why it is accepted."""
    until: date | None = None
    """Last day on which it is; None: for good."""


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    waivers: tuple[Waiver, ...]


def read_waivers(path: Path, *, known: Collection[str] = KNOWN) -> tuple[Waiver, ...]:
    """Read the waivers beside a brief; none where there is no file.

    Args:
        path: The file.
        known: Ids that can be waived.

    Raises:
        BadInput: It cannot be read, waives what is no finding, or gives no reason; with the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read", found=str(error)) from error
    plain, lines = read_yaml(text, path, error=BadInput)
    found = convert_yaml(plain, _File, lines, path, error=BadInput).waivers
    for index, waiver in enumerate(found):
        at = f"waivers[{index}]"
        if waiver.finding not in known:
            close = nearest(waiver.finding, list(known))
            raise BadInput(
                f"{at}.finding: {waiver.finding!r} is no finding of the review",
                where=f"{path.name}:{lines.get(f'{at}.finding', 1)}",
                found=f"known: {', '.join(known)}",
                attempt=f"`finding: {close}`" if close else None,
            )
        if not says_something(waiver.reason):
            raise BadInput(
                f"{at}.reason: {waiver.finding} is waived for no reason",
                where=f"{path.name}:{lines.get(f'{at}.reason', 1)}",
                attempt="say who lives with it and why, in a sentence",
            )
    return found


def waived(
    findings: tuple[Finding, ...], waivers: tuple[Waiver, ...], *, today: date
) -> tuple[Finding, ...]:
    """Give the findings with the reason of those that are waived, and what is odd about waivers.

    A waiver that has ended waives nothing, and one of what is not found is told, so that the file
    does not outlive its reasons.
    """
    reasons = {
        waiver.finding: waiver.reason
        for waiver in waivers
        if waiver.until is None or waiver.until >= today
    }
    out = [
        msgspec.structs.replace(finding, waived=reasons[finding.id])
        if finding.id in reasons
        else finding
        for finding in findings
    ]
    found = {finding.id for finding in findings}
    for waiver in waivers:
        if waiver.finding not in found:
            why, fix = f"{waiver.finding} is waived and is not found", "take the waiver out"
        elif waiver.finding not in reasons:
            why = f"the waiver of {waiver.finding} ended on {waiver.until}"
            fix = "mend it, or decide again"
        else:
            continue
        out.append(Finding(id="waiver", risk=Risk.LOW, where=f"{FILE}:1", why=why, fix=fix))
    return tuple(out)
