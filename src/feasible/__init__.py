"""Feasible: declare what an AI feature may cost and must achieve, then keep the promise."""

__version__ = "0.1.0"

__all__: list[str] = []
