"""How a user's function, class or object becomes a tier."""

from __future__ import annotations

import copy
import inspect
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from feasible.errors import FeatureError
from feasible.schema import Answer, Example, Request, TierKind, TierSpec
from feasible.tiers.base import Tier, Weights, call_price
from feasible.tiers.cache import ExactCache
from feasible.tiers.fingerprint import code_version, content_of, version_of
from feasible.tiers.person import PersonQueue
from feasible.tiers.process import Recipe
from feasible.tiers.rules import RulesTier

__all__ = ["BoundTier", "as_tier"]

# What a user's object may offer beyond `answer`; a protocol check must see it on a bound tier too.
_OPTIONAL: Final = ("answer_async", "save", "remember", "clear")


class BoundTier:
    """An object that answers, under the name, kind and price that the brief gives it.

    Whatever else the object offers (`fit`, `answer_async`, `remember` ...) is offered unchanged.

    Attributes:
        target: The object that answers.
        enforced_usd_per_call: Most dollars of one call by the object itself, whatever the brief
            declares; None when it does not say.
        recipe: How another process makes the same tier; None when nobody can.
    """

    recipe: Recipe | None = None

    def __init__(self, target: Any, spec: TierSpec) -> None:
        """Bind; `as_tier` has checked that they fit."""
        declared = call_price(spec)
        own_usd = cast("float | None", getattr(target, "usd_per_call", None))
        own_worst = cast("float | None", getattr(target, "worst_usd_per_call", None))
        self.target = target
        self.name = spec.name
        self.kind = spec.kind
        self.simulated = bool(getattr(target, "simulated", False))
        self.usd_per_call = own_usd if declared.usd is None else declared.usd
        self.worst_usd_per_call = own_worst if declared.worst_usd is None else declared.worst_usd
        self.enforced_usd_per_call = own_worst
        self._spec = spec
        self._code = None if hasattr(target, "version") else code_version(target)
        self._learnt = ""
        for method in _OPTIONAL:
            if callable(getattr(target, method, None)):
                setattr(self, method, getattr(target, method))
        if callable(getattr(target, "fit", None)):
            # Without a `blank` of its own, copies start from the object as it is now.
            pristine = None if callable(getattr(target, "blank", None)) else copy.deepcopy(target)
            self.blank = lambda: BoundTier(
                target.blank() if pristine is None else copy.deepcopy(pristine), spec
            )
            self.fit, self.load = self._fit, self._load

    def __getattr__(self, name: str) -> Any:
        """Offer everything else the object has."""
        if name == "target":  # not bound yet, for example while being unpickled
            raise AttributeError(name)
        return getattr(self.target, name)

    def __repr__(self) -> str:
        return f"<tier {self.name!r} ({self.kind}): {type(self.target).__name__}>"

    @property
    def version(self) -> str:
        """Give the object's own version, or a hash of its code and of what it saves."""
        if self._code is None:
            return str(self.target.version)
        return version_of(self._code, {}, self._learnt)

    def answer(self, batch: Sequence[Request]) -> Sequence[Answer]:
        """Answer a batch, one answer per request, in order."""
        answers: Sequence[Answer] = self.target.answer(batch)
        return answers

    def _fit(self, examples: Sequence[Example], *, seed: int) -> None:
        self.target.fit(examples, seed=seed)
        if self._code is not None:
            with tempfile.TemporaryDirectory() as folder:
                self.target.save(Path(folder))
                self._learnt = content_of(Path(folder))

    def _load(self, folder: Path) -> None:
        self.target.load(folder)
        self._learnt = content_of(folder)
        if self.recipe is not None:
            self.recipe = msgspec.structs.replace(self.recipe, model=str(folder))


def as_tier(target: object, spec: TierSpec, *, weights: Weights | None = None) -> Tier:
    """Make a tier of what a brief's `use:` names, under the name, kind and price of the brief.

    Args:
        target: A plain function (request -> value, None to abstain, or Answer), a class (built with
            `spec.options`) or an object with `answer(batch)`. None for the built-in of the kind:
            an exact cache or a person.
        spec: The tier as the brief declares it.
        weights: Where tiers that need prepared weights find them; nothing is fetched before the
            first answer.

    Raises:
        FeatureError: The object cannot answer, is of another kind, or learns without `save`/`load`.
    """
    built = _build(target, spec)
    if not callable(getattr(built, "answer", None)):
        raise FeatureError(
            f"tier {spec.name!r} cannot answer",
            asked=f"use: {spec.use}",
            found=f"a {type(built).__name__} without `answer`",
            attempt="a function request -> value, or a class with `answer(self, batch)`",
        )
    own_kind = getattr(built, "kind", None)
    if own_kind is not None and own_kind != spec.kind:
        raise FeatureError(
            f"tier {spec.name!r} is declared as {spec.kind.value}, but what it uses is not",
            asked=f"kind: {spec.kind.value}",
            found=f"{type(built).__name__} is a tier of kind {TierKind(own_kind).value}",
            attempt=f"kind: {TierKind(own_kind).value}",
        )
    if getattr(built, "simulated", False) and "simulated" not in spec.name.lower():
        raise FeatureError(
            f"tier {spec.name!r} is simulated and its name does not say so",
            asked=f"name: {spec.name}",
            found="every report shows the name alone",
            attempt=f"name: simulated_{spec.name}",
        )
    missing = [name for name in ("save", "load") if not callable(getattr(built, name, None))]
    if callable(getattr(built, "fit", None)) and missing:
        raise FeatureError(
            f"tier {spec.name!r} learns but cannot be stored, so that no plan could serve it",
            found=f"{type(built).__name__} has `fit` and no {' and no '.join(missing)}",
            attempt="add save(self, folder) and load(self, folder)",
        )
    if weights is not None and getattr(built, "weights", weights) is None:
        built.weights = weights
    return BoundTier(built, spec)


def _build(target: object, spec: TierSpec) -> Any:
    """Give the object that answers: built from a class, wrapped from a function, or as it is."""
    if target is None and spec.kind is TierKind.CACHE:
        target = ExactCache
    if target is None and spec.kind is TierKind.PERSON:
        target = PersonQueue
    if inspect.isclass(target):
        target = _construct(target, spec)
    if isinstance(target, PersonQueue):
        return target.declared(spec)
    if inspect.isroutine(target):
        if inspect.iscoroutinefunction(target):
            raise FeatureError(
                f"tier {spec.name!r} uses an `async def` function",
                attempt="a class with `answer(batch)` and an async `answer_async`",
            )
        return RulesTier(target, kind=spec.kind)
    return target


def _construct(made: type, spec: TierSpec) -> object:
    """Build a class with the options of the brief, and a cache with its time to live and size."""
    options: dict[str, object] = dict(spec.options)
    if issubclass(made, ExactCache):
        if spec.ttl is not None:
            options.setdefault("ttl_s", spec.ttl.mid)
        if spec.size is not None:
            options.setdefault("size", spec.size)
    try:
        return made(**options)
    except (TypeError, ValueError) as error:
        raise FeatureError(
            f"tier {spec.name!r}: {made.__name__} cannot be built with these options",
            asked=f"options: {dict(spec.options)}",
            found=str(error),
            attempt=f"it takes {inspect.signature(made)}",
        ) from error
