"""Tiers of the support system that are the project's own: the rules.

Each rule is a plain pattern that names one intent. A rule whose intent the data set does not have
is left out, so that the same rules serve the project's corpus and the public data sets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from feasible.schema import ABSTAIN, Answer, Request

__all__ = ["Rules"]

_PATTERNS: Final[tuple[tuple[str, str], ...]] = (
    # The project's corpus.
    ("password_reset", r"\b(forg[eo]t\w*|reset\w*|lost)\b.*\bpassword\b"),
    ("two_factor_setup", r"\b(set ?up|turn on|enable|activate)\b.*\b(2fa|two[- ]factor)\b"),
    ("webhook_failing", r"\bweb ?hooks?\b.*\b(fail\w*|error\w*|not|stopped|never)\b"),
    ("tax_form", r"\b1099\b|\btax (forms?|documents?|statements?)\b"),
    ("report_export", r"\b(export|download)\b.*\b(csv|transactions|report)\b"),
    ("store_plugin_install", r"\b(install|add|set ?up)\b.*\b(plug-?in|extension)\b"),
    ("negative_balance", r"\bnegative balance\b|\bbalance\b.*\b(negative|below zero)\b"),
    ("duplicate_charge", r"\bcharged\b.*\b(twice|two times|double)\b|\bdouble charged?\b"),
    # BANKING77.
    ("apple_pay_or_google_pay", r"\b(apple|google) pay\b"),
    ("passcode_forgotten", r"\b(forg[eo]t\w*|remember|lost)\b.*\bpasscode\b"),
    ("lost_or_stolen_phone", r"\b(lost|stolen|stole)\b.*\bphone\b|\bphone\b.*\b(lost|stolen)\b"),
    ("card_swallowed", r"\b(atm|machine)\b.*\b(swallowed|ate|kept|took)\b.*\bcard\b"),
    # CLINC150.
    ("tire_pressure", r"\btires?\b.*\b(pressure|psi)\b|\bair pressure\b"),
    ("flip_coin", r"\b(flip|toss)\b.*\bcoin\b"),
    ("roll_dice", r"\broll\b.*\b(dice|die)\b"),
    ("jump_start", r"\bjump ?-?start\b"),
    ("mpg", r"\bmpg\b|\bmiles per gallon\b"),
    ("credit_score", r"\bcredit score\b(?!.*\bimprove\b)(?!.*\b(raise|increase|better|higher)\b)"),
    ("pto_balance", r"\bhow (many|much)\b.*\b(pto|vacation|days off)\b.*\b(left|have|remaining)\b"),
)


class Rules:
    """The first pattern that matches answers; no match abstains.

    Args:
        labels: The closed set of answers; rules for others are left out.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        known = frozenset(labels)
        self._rules = tuple(
            (intent, re.compile(pattern, re.IGNORECASE))
            for intent, pattern in _PATTERNS
            if intent in known
        )

    def answer(self, batch: Sequence[Request]) -> list[Answer]:
        """Answer or abstain, request by request."""
        return [self._one(str(request.get("text", ""))) for request in batch]

    def _one(self, text: str) -> Answer:
        for intent, pattern in self._rules:
            if pattern.search(text):
                return Answer(intent)
        return ABSTAIN
