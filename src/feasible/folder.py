"""A feature folder: its brief, its rows, its tiers, and where its working files go."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Final, cast

from feasible.errors import DataError, FeatureError, nearest
from feasible.registry import weights
from feasible.schema import (
    Brief,
    BriefFile,
    DataSet,
    Example,
    Loss,
    TierKind,
    TierSpec,
    load_brief,
    zero_one_loss,
)
from feasible.tiers import BoundTier, ExactCache, PersonQueue, Recipe, Tier, as_tier

__all__ = ["Feature", "open_folder", "tier_of"]

_WORK: Final = ".feasible"


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature, opened.

    Attributes:
        folder: Where its files are.
        work: Where plans, models, profiles and the ledger of this feature go.
        found: The brief with its places.
    """

    folder: Path
    work: Path
    found: BriefFile

    @property
    def brief(self) -> Brief:
        """Give the declaration."""
        return self.found.brief

    @property
    def plan_path(self) -> Path:
        """Give where the plan is written."""
        return self.work / "plan.json"

    @property
    def plans_path(self) -> Path:
        """Give the folder in which every plan that was made or served is kept."""
        return self.work / "plans"

    @property
    def looks_path(self) -> Path:
        """Give where it is counted how often rows have certified."""
        return self.work / "looks.json"

    @property
    def report_path(self) -> Path:
        """Give where the planner's whole answer is written."""
        return self.work / "report.json"

    @property
    def profile_path(self) -> Path:
        """Give where the profile is written."""
        return self.work / "profile.parquet"

    @property
    def ledger_url(self) -> str:
        """Give the ledger that is used when none is named."""
        return f"sqlite:///{self.ledger_path.resolve()}"

    @property
    def ledger_path(self) -> Path:
        """Give the file of that ledger."""
        return self.work / "ledger.db"

    def dataset(self, data: str | None = None) -> DataSet:
        """Give the labelled rows that `data.py` yields.

        Args:
            data: Name of a data set that the feature knows; None for its default.

        Raises:
            FeatureError: There is no `data.py` or it has no `examples()`.
            DataError: The rows cannot be used as they are.
        """
        module = self._module("data")
        examples = self._member(module, "examples")
        takes_name = bool(inspect.signature(examples).parameters)
        if data is not None and not takes_name:
            raise FeatureError(
                f"`examples()` of {self.brief.name} takes no data set",
                asked=f"--data {data}",
                attempt="leave --data out, or give `examples(data=None)` a parameter",
            )
        rows = examples(data) if takes_name else examples()
        if isinstance(rows, DataSet):
            return rows
        checked = [_example(row, index) for index, row in enumerate(rows)]
        return DataSet(
            self.brief.name, checked, synthetic=False, origin=str(self.folder / "data.py")
        )

    def slices_of(self) -> Callable[[Any], Iterable[str]]:
        """Give the function from a label to the slices of its row; without one, no slices."""
        if not (self.folder / "data.py").is_file():
            return lambda _label: ()
        found = getattr(self._module("data"), "slices", None)
        if found is None:
            return lambda _label: ()
        return cast("Callable[[Any], Iterable[str]]", found)

    def loss(self) -> Loss:
        """Give the feature's own loss from `data.py`, or right-or-wrong without one."""
        found = getattr(self._module("data"), "loss", None)
        return zero_one_loss if found is None else cast("Loss", found)

    def person_loss(self) -> float:
        """Give the declared error rate of people. Ratio; 0 when none is declared."""
        people = [t for t in self.brief.layers.tiers if t.kind is TierKind.PERSON]
        rate = people[0].error_rate if people else None
        return 0.0 if rate is None else rate.mid

    def tiers(self, labels: Iterable[str] = ()) -> dict[str, Tier]:
        """Build every tier of the brief, in its order.

        Args:
            labels: The closed set of answers, handed to tiers that want one.

        Raises:
            FeatureError: A `use:` names nothing, or the thing it names cannot be built.
        """
        specs = self.brief.layers.tiers
        if not specs:
            raise FeatureError(
                f"{self.brief.name} has no tiers to plan with",
                where=self.found.where("layers"),
                attempt="add `layers: {tiers: [...]}`, or plan from logs with --profile",
            )
        return {spec.name: self.tier(spec.name, labels) for spec in specs}

    def tier(self, name: str, labels: Iterable[str] = ()) -> Tier:
        """Build one tier of the brief.

        Args:
            name: The tier.
            labels: The closed set of answers, handed to a tier that wants one.

        Raises:
            FeatureError: Its `use:` names nothing, or the thing it names cannot be built.
        """
        names = [spec.name for spec in self.brief.layers.tiers]
        known, at = tuple(labels), f"layers.tiers[{names.index(name)}]"
        made = self._tier(self.brief.tier(name), at, known)
        if isinstance(made, BoundTier):
            made.recipe = Recipe(
                make="feasible.folder:tier_of",
                arguments={
                    "folder": str(self.folder.resolve()),
                    "work": str(self.work.resolve()),
                    "name": name,
                    "labels": known,
                },
                labels=known,
            )
        return made

    def _tier(self, spec: TierSpec, at: str, labels: tuple[str, ...]) -> Tier:
        if spec.use is None:
            return self._built_in(spec, at)
        target = self._resolve(spec.use, at)
        if inspect.isclass(target):
            options: dict[str, Any] = dict(spec.options)
            accepted = inspect.signature(target).parameters
            if "labels" in accepted and "labels" not in options:
                options["labels"] = labels
            if "weights" in accepted and "weights" not in options:
                options["weights"] = weights
            unknown = [name for name in options if name not in accepted]
            if unknown:
                close = nearest(unknown[0], accepted)
                raise FeatureError(
                    f"{at}.options: {spec.use} takes no option {unknown[0]!r}",
                    where=self.found.where(f"{at}.options"),
                    found=f"it takes {', '.join(accepted) or 'none'}",
                    attempt=f"`{close}`" if close else None,
                )
            target = target(**options)
        return as_tier(target, spec)

    def _built_in(self, spec: TierSpec, at: str) -> Tier:
        if spec.kind is TierKind.PERSON:
            return as_tier(PersonQueue(), spec)
        if spec.kind is TierKind.CACHE:
            ttl_s = spec.ttl.mid if spec.ttl is not None else None
            if ttl_s is None:
                raise FeatureError(
                    f"{at}: a cache needs a time to live",
                    where=self.found.where(at),
                    attempt="ttl: 1 h",
                )
            return as_tier(ExactCache(ttl_s=ttl_s, size=spec.size or 10_000), spec)
        raise FeatureError(
            f"{at}: a {spec.kind} tier names what answers",
            where=self.found.where(at),
            attempt="use: tiers:NAME",
        )

    def _resolve(self, use: str, at: str) -> Any:
        module_name, _, name = use.partition(":")
        if not name:
            raise FeatureError(
                f"{at}.use: {use!r} is not module:object",
                where=self.found.where(f"{at}.use"),
                attempt="use: tiers:NAME",
            )
        if (self.folder / f"{module_name}.py").is_file():
            module = self._module(module_name)
        else:
            try:
                module = importlib.import_module(module_name)
            except ImportError as error:
                raise FeatureError(
                    f"{at}.use: no module {module_name!r}",
                    where=self.found.where(f"{at}.use"),
                    found=str(error),
                    attempt=f"write {self.folder / module_name}.py or name an installed module",
                ) from error
        try:
            return getattr(module, name)
        except AttributeError as error:
            close = nearest(name, [n for n in dir(module) if not n.startswith("_")])
            raise FeatureError(
                f"{at}.use: {module_name} has no {name!r}",
                where=self.found.where(f"{at}.use"),
                attempt=f"did you mean {module_name}:{close}" if close else None,
            ) from error

    def _module(self, name: str) -> ModuleType:
        path = self.folder / f"{name}.py"
        if not path.is_file():
            raise FeatureError(
                f"{self.brief.name} has no {name}.py",
                asked=str(path),
                attempt="write it, or see `feasible new` for a folder that has one",
            )
        unique = f"feasible_feature_{abs(hash(path.resolve())):x}_{name}"
        if unique in sys.modules:
            return sys.modules[unique]
        spec = importlib.util.spec_from_file_location(unique, path)
        if spec is None or spec.loader is None:
            raise FeatureError(f"{path} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[unique] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:  # the user's own code: anything may happen, and they must see it
            del sys.modules[unique]
            raise FeatureError(
                f"{path.name} of {self.brief.name} does not import",
                found=f"{type(error).__name__}: {error}",
                where=_line_in(path, error),
            ) from error
        return module

    def _member(self, module: ModuleType, name: str) -> Callable[..., Any]:
        found = getattr(module, name, None)
        if not callable(found):
            raise FeatureError(
                f"data.py of {self.brief.name} has no function `{name}()`",
                attempt=f"def {name}(): yield {{'text': ..., 'label': ...}}",
            )
        return cast("Callable[..., Any]", found)


def open_folder(folder: Path, *, work: Path | None = None) -> Feature:
    """Open a feature folder.

    Args:
        folder: Folder with a `brief.yaml`.
        work: Where working files go; `.feasible` in the folder when absent.

    Raises:
        BriefError: There is no brief there, or it cannot be read.
    """
    found = load_brief(folder)
    return Feature(folder=folder, work=work or folder / _WORK, found=found)


def tier_of(folder: str, work: str, name: str, labels: Iterable[str]) -> Tier:
    """Build one tier of a feature folder: what a process of its own begins with."""
    return open_folder(Path(folder), work=Path(work)).tier(name, labels)


def _line_in(path: Path, error: BaseException) -> str | None:
    """Give `file:line` of the deepest frame of an error that lies in one file."""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename == str(path):
        line = error.lineno
    return None if line is None else f"{path.name}:{line}"


_KEYS: Final = ("id", "text", "request", "label", "slices", "split", "time", "entity")


def _example(row: Any, index: int) -> Example:
    """Turn what `examples()` yielded into a row."""
    if isinstance(row, Example):
        return row
    if not isinstance(row, Mapping):
        raise DataError(
            f"row {index} of `examples()` is a {type(row).__name__}",
            attempt="yield {'text': ..., 'label': ...} or feasible.Example(...)",
        )
    unknown = [key for key in row if key not in _KEYS]
    if unknown:
        close = nearest(str(unknown[0]), _KEYS)
        raise DataError(
            f"row {index} of `examples()` has an unknown key {unknown[0]!r}",
            found=f"known keys: {', '.join(_KEYS)}",
            attempt=f"`{close}`" if close else "put a feature's own inputs under `request`",
        )
    if ("text" in row) == ("request" in row):
        raise DataError(f"row {index} of `examples()` needs either `text` or `request`")
    split = row.get("split")
    if split not in (None, "train", "test"):
        raise DataError(f"row {index}: `split` is train or test; found {split!r}")
    time = row.get("time")
    if time is not None and (not isinstance(time, datetime) or time.tzinfo is None):
        raise DataError(f"row {index}: `time` is an aware datetime; found {time!r}")
    entity = row.get("entity")
    return Example(
        row_id=str(row.get("id", index)),
        request=row["request"] if "request" in row else {"text": row["text"]},
        label=row.get("label"),
        slices=frozenset(row.get("slices", ())),
        split=split,
        time=time,
        entity=None if entity is None else str(entity),
    )
