"""Feasible: declare what an AI feature may cost, how fast and how right it must be; keep the promise."""

__version__ = "0.1.0"

__all__: list[str] = []
