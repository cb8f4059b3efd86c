"""Training plans on disk: TOML that mirrors the dataclasses, commented by their text.

The settings that matter most come first; therefore keys are dotted, and there are no
sections. Plans with sections are read as well. New fields of the dataclasses need no
change here.
"""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from voltween import process
from voltween.errors import InputError
from voltween.field_texts import field_texts
from voltween.models import dataclass_from_facts
from voltween.networks import CascadeConfig
from voltween.preprocessing import Preprocessing
from voltween.storage import PathLike, naming, read_toml, whole_file
from voltween.training.model_references import teacher_with_path, with_path
from voltween.training.plan_paths import relative_path, whole_path
from voltween.training.recipe import Recipe, TrainConfig

PathChange = Callable[[Path, str], Path]  # of a path, by its dotted key
_WIDTH = 88
_REPEATED = "cascade.shape"  # written once, as preprocessing.shape
_FIRST = (
    "preprocessing.shape",
    "preprocessing.spacing_mm",
    "training.steps",
    "training.learning_rate",
    "training.objective.overlap",
)
_FIRST_TEXT = (
    "The five settings that matter most: what the network sees, how long and how fast "
    "it learns, and from what."
)
_REST_TEXT = "All other settings."


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that a training depends on: cases, grid, network, and settings.

    Raises:
        InputError: If the network's grid is not the canonical grid.
    """

    manifest: Path
    """CSV of the cases. All paths of a plan are relative to the folder of the plan."""
    preprocessing: Preprocessing
    cascade: CascadeConfig
    training: TrainConfig = field(default_factory=TrainConfig)

    @property
    def recipe(self) -> Recipe:
        """The plan without the cases."""
        return Recipe(self.preprocessing, self.cascade, self.training)

    def __post_init__(self) -> None:
        Recipe(self.preprocessing, self.cascade, self.training)  # checks the grid


def read_plan(path: PathLike) -> TrainingPlan:
    """Reads the plan in a TOML file; missing keys have their defaults.

    Raises:
        InputError: If there is no such file, it is not TOML, a key is unknown or
            missing, or a value has another type than expected or is out of range; or
            if a file of the plan is only in the working folder.
    """
    path = Path(path)
    values = read_toml(path, "a plan in TOML")
    with naming(path):
        plan = dataclass_from_facts(TrainingPlan, _with_shape(values))
        return with_paths(plan, lambda file, key: whole_path(file, path.parent, key))


def write_plan(
    plan: TrainingPlan,
    path: PathLike,
    *,
    heading: Sequence[str] = (),
    notes: Mapping[str, str] | None = None,
) -> Path:
    """Writes a plan as commented TOML and returns the path.

    Args:
        plan: The plan; its paths are written relative to the folder of the file.
        path: The file.
        heading: Lines of the comment at the top of the file.
        notes: Reasons by dotted key, such as "preprocessing.shape"; each is written as
            a comment above its key.

    Raises:
        MissingPackageError: If tomlkit is not installed.
        OutputError: If the file cannot be written.
    """
    process.require("tomlkit", extra="train", purpose="writing a plan")
    path = Path(path)
    portable = with_paths(plan, lambda file, _: relative_path(file, path.parent))
    settings = [item for item in _settings(portable, "") if item.key != _REPEATED]
    lines = [*_comment("\n".join(heading)), *_lines(settings, notes or {})]
    with whole_file(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def with_paths(plan: TrainingPlan, changed: PathChange) -> TrainingPlan:
    """The plan with all of its paths changed; names of models and tools stay."""
    training, synthesis = plan.training, plan.training.synthesis

    def changer(key: str) -> Callable[[Path], Path]:
        return lambda path: changed(path, key)

    if synthesis.tissues is not None:
        tissues = changed(synthesis.tissues, "training.synthesis.tissues")
        synthesis = replace(synthesis, tissues=tissues)
    if synthesis.teacher is not None:
        change = changer("training.synthesis.teacher")
        synthesis = replace(synthesis, teacher=with_path(synthesis.teacher, change))
    if training.start_from is not None:
        start = with_path(training.start_from, changer("training.start_from"))
        training = replace(training, start_from=start)
    teacher = teacher_with_path(training.teacher, changer("training.teacher"))
    training = replace(training, synthesis=synthesis, teacher=teacher)
    return replace(plan, manifest=changed(plan.manifest, "manifest"), training=training)


class _Setting(NamedTuple):
    """A setting, or the heading of a group of settings."""

    key: str
    """Dotted key."""
    text: str
    value: Any
    is_group: bool = False


def _settings(value: Any, name: str) -> Iterator[_Setting]:
    """Settings of a dataclass: its own, then each of its dataclasses as a group."""
    kind: type = type(value)
    texts = field_texts(kind)
    items = {item.name: getattr(value, item.name) for item in fields(value)}
    inner = {key: item for key, item in items.items() if is_dataclass(item)}
    for key in items:
        if key not in inner:
            yield _Setting(_join(name, key), texts.get(key) or "", items[key])
    for key, item in inner.items():
        yield _Setting(_join(name, key), texts.get(key) or "", None, is_group=True)
        yield from _settings(item, _join(name, key))


def _lines(settings: Sequence[_Setting], notes: Mapping[str, str]) -> Iterator[str]:
    """The lines of a plan: the cases, the most important settings, the others."""
    by_key = {item.key: item for item in settings}
    first = [by_key[key] for key in _FIRST if key in by_key]
    manifest, *rest = (item for item in settings if item not in first)
    yield from _setting_lines(manifest, notes)
    for text, group in ((_FIRST_TEXT, first), (_REST_TEXT, rest)):
        yield from ("", "", *_comment(text))
        for item in group:
            yield from _setting_lines(item, notes)


def _setting_lines(item: _Setting, notes: Mapping[str, str]) -> Iterator[str]:
    note = notes.get(item.key)
    if item.is_group:
        if item.text or note:
            yield from ("", "", f"# {item.key}", *_comment(item.text))
            yield from _comment(note, mark="-> ")
        return
    yield from ("", *_comment(item.text), *_comment(note, mark="-> "))
    yield _assignment(item.key, item.value)


def _join(group: str, name: str) -> str:
    return f"{group}.{name}" if group else name


def _assignment(key: str, value: Any) -> str:
    import tomlkit

    if value is None:
        return f"# {key} =   # not set"
    plain = value.as_posix() if isinstance(value, Path) else value
    plain = list(plain) if isinstance(plain, tuple) else plain
    return f"{key} = {tomlkit.item(plain).as_string()}"


def _comment(text: str | None, *, mark: str = "") -> list[str]:
    lines = (text or "").strip().splitlines()
    wrapped = [
        part
        for line in lines
        for part in textwrap.wrap(line, _WIDTH - len("# " + mark)) or [""]
    ]
    marks = [mark, *[" " * len(mark)] * len(wrapped)]
    return [f"# {m}{part}".rstrip() for m, part in zip(marks, wrapped, strict=False)]


def _with_shape(values: dict[str, Any]) -> dict[str, Any]:
    """The values with the shape of the preprocessing as the cascade's shape."""
    preprocessing, cascade = (
        values.get(name, {}) for name in ("preprocessing", "cascade")
    )
    if not isinstance(preprocessing, dict) or not isinstance(cascade, dict):
        return values  # refused when the plan is built
    if "shape" in cascade:
        raise InputError(
            about=_REPEATED,
            expected="no such key, as the network has the shape of the preprocessing",
            got=cascade["shape"],
            advice="remove it",
        )
    filled = cascade | {"shape": preprocessing.get("shape")}
    return values | {"cascade": filled}
