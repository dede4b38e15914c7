"""Reading and writing `brief.yaml`: an error has its line; what was written comes back."""

from __future__ import annotations

import difflib
import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from ruamel.yaml import YAML

from feasible.errors import BriefError, nearest
from feasible.schema.brief import OBJECTIVE_RULES, SECTIONS, Brief, Objective
from feasible.schema.calling import tier_faults
from feasible.schema.sets import set_faults
from feasible.schema.spending import spending_faults
from feasible.schema.yaml_lines import convert_yaml, parent_path, read_yaml
from feasible.units import Amount, Count, Quantity, Ratio

__all__ = [
    "BriefFile",
    "brief_schema",
    "decode_quantity",
    "dump_brief",
    "load_brief",
    "parse_brief",
]

MAX_BYTES: Final = 1_000_000
_QUALITIES: Final = ("accuracy", "recall", "precision")
"""Qualities with a meaning of their own; any other is a name for the feature's loss."""
_MISSPELT: Final = 0.85
"""Likeness from which on a name is taken for a known one that was misspelt."""
_NAME: Final = re.compile(r"[A-Za-z][\w@.-]*$")
_ABOUT_TIME: Final = frozenset({"time", "late", "latency", "deadline", "fast", "slow"})
_PERCENTILE: Final = re.compile(r"p\d{1,2}(\.\d+)?$")


@dataclass(frozen=True, slots=True)
class BriefFile:
    """A brief with the places where its parts stand.

    Attributes:
        brief: The declaration.
        path: File it was read from; `brief.yaml` when it came as text.
        lines: Path inside the brief (`envelope[3].on`) -> line, counted from 1.
        order: Its sections in the order in which they stand.
    """

    brief: Brief
    path: Path
    lines: dict[str, int] = field(repr=False)
    order: tuple[str, ...]

    def where(self, path: str) -> str:
        """Give `file:line` of a part, or of the nearest part above it that is written."""
        while path and path not in self.lines:
            path = parent_path(path)
        return f"{self.path.name}:{self.lines.get(path, 1)}"


def load_brief(path: Path) -> BriefFile:
    """Read a brief from its file, or from the `brief.yaml` of a folder.

    Raises:
        BriefError: It is not there, not UTF-8, not YAML, or not a brief; with the line.
    """
    file = path / "brief.yaml" if path.is_dir() else path
    try:
        if file.stat().st_size > MAX_BYTES:
            raise BriefError(
                f"{file} is too large for a brief",
                found=f"{file.stat().st_size:,} bytes",
                attempt=f"at most {MAX_BYTES:,} bytes",
            )
        text = file.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise BriefError(
            f"no brief at {file}", attempt="write one with `feasible new NAME`"
        ) from error
    except UnicodeDecodeError as error:
        raise BriefError(
            "a brief is UTF-8 text",
            where=file.name,
            found=f"byte {error.start} is {error.object[error.start]:#04x}",
        ) from error
    except OSError as error:
        raise BriefError(f"{file} cannot be read", found=str(error)) from error
    return parse_brief(text, path=file)


def parse_brief(text: str, *, path: Path = Path("brief.yaml")) -> BriefFile:
    """Read a brief from text.

    Args:
        text: YAML.
        path: Name to give in errors.

    Raises:
        BriefError: It is not a brief; with the line.
    """
    plain, lines = read_yaml(text, path, error=BriefError)
    if not isinstance(plain, dict):
        raise BriefError(
            "a brief is a mapping that starts with `feasible: 1`",
            where=f"{path.name}:1",
            found=type(plain).__name__ if plain is not None else "an empty file",
            attempt="write one with `feasible new NAME`",
        )
    _require_version(plain, path)
    brief = convert_yaml(plain, Brief, lines, path, error=BriefError, dec_hook=decode_quantity)
    found = BriefFile(brief=brief, path=path, lines=lines, order=tuple(plain))
    _check(found)
    return found


def dump_brief(brief: Brief) -> str:
    """Write a brief as YAML, sections in their order; reading it back gives an equal brief."""
    plain = msgspec.to_builtins(brief, enc_hook=_encode, str_keys=False)
    yaml = YAML()
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump({name: plain[name] for name in SECTIONS if name in plain}, stream)
    return stream.getvalue()


def brief_schema() -> dict[str, Any]:
    """Give the JSON Schema of a brief, from the same definition that reads it, for editors."""
    schema = msgspec.json.schema(Brief, schema_hook=_schema_of)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    objective = schema["$defs"]["Objective"]
    objective["dependentRequired"] = {"joint": ["within"], "within": ["joint"]}
    objective["oneOf"] = [{"required": [kind]} for kind in OBJECTIVE_RULES]
    return schema


def _require_version(plain: dict[str, Any], path: Path) -> None:
    if "feasible" not in plain:
        raise BriefError(
            "the first line of a brief is its version",
            where=f"{path.name}:1",
            attempt="write `feasible: 1`",
        )


def decode_quantity(kind: type, raw: object) -> object:
    """Read a number with its unit, where msgspec meets a type that it does not know.

    Raises:
        ValueError: It is not one.
        NotImplementedError: The type is another one, as msgspec wants to hear it.
    """
    if issubclass(kind, Quantity):
        return kind(cast("float", raw))  # the constructor refuses what is not a number
    raise NotImplementedError(kind)


def _encode(value: object) -> object:
    if isinstance(value, Quantity):
        return value.raw
    raise NotImplementedError(type(value))


def _schema_of(kind: type) -> dict[str, Any]:
    if issubclass(kind, Quantity):
        types = ["string", "number"] if kind in {Quantity, Amount, Count, Ratio} else ["string"]
        return {"type": types, "description": kind.expects}
    raise NotImplementedError(kind)


def _check(found: BriefFile) -> None:
    """Hold the brief to what its types cannot say."""
    brief = found.brief
    if not brief.name.strip():
        raise _at(found, "name", "a feature needs a name")
    if not brief.envelope:
        raise _at(
            found,
            "envelope",
            "an envelope needs at least one objective",
            attempt="write, for example, `- {latency: p99, at_most: 200 ms}`",
        )
    seen: dict[str, int] = {}
    for index, objective in enumerate(brief.envelope):
        _check_objective(found, index, objective)
        if objective.id in seen:
            raise _at(
                found,
                f"envelope[{index}]",
                f"`{objective.id}` is promised twice; the first is envelope[{seen[objective.id]}]",
            )
        seen[objective.id] = index
    _check_tiers(found)
    for at, reason, attempt in spending_faults(brief):
        raise _at(found, at, reason, attempt=attempt)
    for at, reason in set_faults(brief):
        raise _at(found, at, reason)
    _check_keeps(found, tuple(seen))


def _check_objective(found: BriefFile, index: int, objective: Objective) -> None:
    at = f"envelope[{index}]"
    kinds = [kind for kind in OBJECTIVE_RULES if getattr(objective, kind) is not None]
    if len(kinds) != 1:
        shown = " and ".join(f"`{kind}`" for kind in kinds) or "none of them"
        raise _at(
            found,
            at,
            f"an objective has exactly one of {', '.join(OBJECTIVE_RULES)}; found {shown}",
        )
    rule, kind = OBJECTIVE_RULES[kinds[0]], kinds[0]
    _check_bound(found, at, objective, kind)
    is_percentile = "pNN" in rule.measures and _PERCENTILE.match(objective.measure)
    if rule.measures and objective.measure not in rule.measures and not is_percentile:
        valid = ", ".join(rule.measures).replace("pNN", "a percentile such as p99")
        raise _at(found, f"{at}.{kind}", f"unknown measure {objective.measure!r}; known: {valid}")
    if kind == "quality":
        _check_quality(found, at, objective)
    _check_within(found, at, objective)
    if not 0 < objective.confidence_level < 1:
        raise _at(
            found,
            f"{at}.confidence_level",
            f"between 0 and 1; found {objective.confidence_level}",
        )
    slices = found.brief.traffic.slices
    if objective.on is not None and slices and objective.on not in slices:
        raise _at(
            found,
            f"{at}.on",
            f"unknown slice {objective.on!r}" + _did_you_mean(objective.on, slices),
        )


def _check_quality(found: BriefFile, at: str, objective: Objective) -> None:
    """Refuse a quality that would be judged as another one than its name says.

    `accuracy`, `recall` and `precision` are known; any other name is the feature's own for the loss
    that it gives, of which there is one.
    """
    measure = objective.measure
    place = f"{at}.quality"
    if measure == "recall" and objective.of is None and objective.on is None:
        example = "{quality: recall, of: fraud, at_least: 0.95}"
        raise _at(found, place, "`recall` of what? it needs `of`, a class", attempt=example)
    if measure == "precision" and objective.of is None:
        example = "{quality: precision, of: fraud, at_least: 0.95}"
        raise _at(found, place, "`precision` of what? it needs `of`, a class", attempt=example)
    if measure in _QUALITIES:
        if measure == "accuracy" and objective.of is not None:
            reason = "`accuracy` is over all answers; `recall` and `precision` are of a class"
            raise _at(found, f"{at}.of", reason)
        return
    if objective.of is not None:
        raise _at(found, f"{at}.of", f"`recall` and `precision` are of a class; {measure!r} is not")
    close = difflib.get_close_matches(measure, _QUALITIES, n=1, cutoff=_MISSPELT)
    if close and measure.isalpha():  # `precision@5` is a name of its own
        raise _at(found, place, f"unknown measure {measure!r}; did you mean {close[0]!r}?")
    if not _NAME.match(measure):
        reason = f"{measure!r} is no name for a loss of your own: letters, digits, `_`, `-`, `@`"
        raise _at(found, place, reason)
    if _ABOUT_TIME & set(re.split(r"[_\-]", measure.lower())):
        reason = f"{measure!r} speaks of time, and quality is judged by answers alone"
        example = "{joint: right_in_time, within: 200 ms, at_least: 95 %}"
        raise _at(found, place, reason, attempt=example)
    own = [o.measure for o in found.brief.envelope if o.quality is not None]
    first = next(name for name in own if name not in _QUALITIES)
    if first != measure:
        reason = f"{measure!r} and {first!r} are two names for the one loss that a feature gives"
        raise _at(found, place, reason, attempt=f"promise {first!r} alone")


def _check_within(found: BriefFile, at: str, objective: Objective) -> None:
    within = objective.within
    if objective.joint is None:
        if within is not None:
            reason = f"`within` is of a joint promise; found `{objective.kind}`"
            raise _at(found, f"{at}.within", reason)
        return
    example = "{joint: right_in_time, within: 200 ms, at_least: 95 %}"
    if within is None:
        raise _at(found, at, "`joint` needs `within`, a time", attempt=example)
    if within.low <= 0:
        raise _at(found, f"{at}.within", f"a time above 0; found {within.raw!r}", attempt=example)
    if objective.of is not None:
        reason = "`right_in_time` is over all answers; name a slice with `on`"
        raise _at(found, f"{at}.of", reason)


def _check_bound(found: BriefFile, at: str, objective: Objective, kind: str) -> None:
    rule = OBJECTIVE_RULES[kind]
    given = [
        name
        for name in ("at_most", "at_least", "must_stay")
        if getattr(objective, name) is not None
    ]
    valid = ("at_most", "at_least") if rule.bound == "either" else (rule.bound,)
    if len(given) != 1 or given[0] not in valid:
        wanted = " or ".join(f"`{name}`" for name in valid)
        raise _at(
            found,
            at,
            f"`{kind}` takes {wanted}; found {', '.join(given) or 'no limit'}",
            attempt=f"{kind}: ..., {valid[0]}: {rule.example}",
        )
    limit = objective.limit
    if limit is None:
        return
    dimension = limit.dimension
    if dimension == "count" and "ratio" in rule.dimensions and kind != "quality":
        dimension = "ratio"
    if dimension not in rule.dimensions:
        said = "has no unit" if dimension == "count" else f"is a {limit.dimension}"
        raise _at(found, f"{at}.{given[0]}", f"{limit.raw!r} {said}; write it like {rule.example}")
    if limit.low < 0:
        raise _at(found, f"{at}.{given[0]}", f"at least 0; found {limit.raw!r}")
    is_share = kind in {"availability", "people", "joint", "abstention"} or (
        kind == "quality" and given[0] == "at_least"
    )
    if is_share and limit.dimension != "rate" and limit.high > 1:
        raise _at(
            found,
            f"{at}.{given[0]}",
            f"a share is at most 1 (100 %); found {limit.raw!r}",
            attempt=f"{limit.raw} %" if isinstance(limit.raw, (int, float)) else None,
        )


def _check_tiers(found: BriefFile) -> None:
    tiers = found.brief.layers.tiers
    names = [tier.name for tier in tiers]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise _at(found, f"layers.tiers[{index}].name", f"two tiers are named {name!r}")
    for index, tier in enumerate(tiers):
        for key, reason, attempt in tier_faults(tier):
            raise _at(found, f"layers.tiers[{index}].{key}", reason, attempt=attempt)
    serving = found.brief.layers.serving
    if serving is None or not names:
        return
    known_slices = {*found.brief.traffic.slices, "default"}
    for slice_name, target in serving.fallback.items():
        at = f"layers.serving.fallback.{slice_name}"
        if target not in names:
            raise _at(found, at, f"unknown tier {target!r}" + _did_you_mean(target, names))
        if slice_name not in known_slices:
            raise _at(
                found, at, f"unknown slice {slice_name!r}" + _did_you_mean(slice_name, known_slices)
            )


def _check_keeps(found: BriefFile, objective_ids: tuple[str, ...]) -> None:
    layers = found.brief.layers
    parts = [
        (f"layers.{name}", getattr(layers, name))
        for name in ("data", "features", "serving", "feedback")
    ]
    parts += [(f"layers.tiers[{index}]", tier) for index, tier in enumerate(layers.tiers)]
    for at, part in parts:
        for index, wanted in enumerate(part.keeps if part is not None else ()):
            if wanted not in objective_ids:
                raise _at(
                    found,
                    f"{at}.keeps[{index}]",
                    f"unknown objective {wanted!r}" + _did_you_mean(wanted, objective_ids),
                )


def _did_you_mean(name: str, valid: Any) -> str:
    close = nearest(name, valid)
    return f"; did you mean {close!r}?" if close else f"; known: {', '.join(valid) or 'none'}"


def _at(found: BriefFile, path: str, reason: str, *, attempt: str | None = None) -> BriefError:
    return BriefError(f"{path}: {reason}", where=found.where(path), attempt=attempt)
