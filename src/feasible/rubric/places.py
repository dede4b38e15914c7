"""Where a finding points when the part that it misses is not written at all."""

from __future__ import annotations

from feasible.schema import SECTIONS, BriefFile

__all__ = ["place_of"]


def place_of(found: BriefFile, path: str) -> str:
    """Give `file:line` of a part; when its whole section is missing, of the section before it.

    Args:
        found: The brief with its places.
        path: Path inside the brief, for example `layers.features`.
    """
    section = path.split(".", maxsplit=1)[0].split("[", maxsplit=1)[0]
    if section in found.order:
        return found.where(path)
    before = SECTIONS[: SECTIONS.index(section)]
    written = [name for name in before if name in found.order]
    return found.where(written[-1] if written else "")
