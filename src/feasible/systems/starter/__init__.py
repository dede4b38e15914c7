"""The folder that `feasible new` writes: small, real, and meant to be changed line by line."""

from feasible.systems.starter.write import write_starter

__all__ = ["write_starter"]
