"""Settings of a plan that the command line overrides."""

from collections.abc import Collection, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from voltween.models import dataclass_from_facts, different_settings
from voltween.training.plan_file import TrainingPlan, with_paths
from voltween.training.recipe import TrainConfig

_KEYS = {
    "cascade": "cascade.stages",
    **{
        name: f"preprocessing.{name}"
        for name in ("shape", "spacing_mm", "placement", "hounsfield_window")
    },
    **{
        name: f"cascade.{name}"
        for name in (
            *("channels", "levels", "affine_levels"),
            *("flow_multiplier", "repeats", "padding", "sees"),
        )
    },
}
"""Keys of a plan by the options that have another name or place there."""


def overridden(
    plan: TrainingPlan, options: Any, training: TrainConfig, named: Collection[str]
) -> tuple[TrainingPlan, list[str]]:
    """Sets the settings of a plan that options name.

    Args:
        plan: The plan.
        options: Grid and network (`TrainingOptions`).
        training: Further settings.
        named: The options that were named, such as "steps" or "objective.overlap";
            the others keep the value of the plan.

    Returns:
        The plan, and in words the settings that changed.

    Raises:
        InputError: If a value does not go together with the rest of the plan.
    """
    facts = asdict(plan)
    for option, key in _KEYS.items():
        if option in named:
            _set(facts, key, getattr(options, option))
    settings = {f.name for f in fields(TrainConfig)}
    for name in named:
        if name.split(".")[0] in settings and _has(training, name):
            _set(facts, f"training.{name}", _value(training, name))
    facts["cascade"]["shape"] = facts["preprocessing"]["shape"]
    changed = dataclass_from_facts(TrainingPlan, facts)
    return changed, [*_changes(changed, plan)]


def _changes(changed: TrainingPlan, plan: TrainingPlan) -> Iterator[str]:
    """The settings that differ, in words without folders, which may tell of people."""

    def named(path: Path, key: str) -> Path:
        return Path(path.name)

    short = different_settings(
        *(asdict(with_paths(each, named)) for each in (changed, plan))
    )
    said = {each.split()[0] for each in short}
    yield from (f"{each} as planned" for each in short)
    for each in different_settings(asdict(changed), asdict(plan)):
        if each.split()[0] not in said:
            yield f"{each.split()[0]} in another folder than planned"


def option_names(words: Collection[str]) -> Iterator[str]:
    """Names of the options among the words of a command, as `overridden` wants them.

    "--objective.total-variation=2" is "objective.total_variation"; a switch is named
    by its own name, with or without "no-".
    """
    for word in words:
        if word.startswith("--"):
            name = word.removeprefix("--").split("=")[0].replace("-", "_")
            yield name
            *groups, last = name.split(".")
            if last.startswith("no_"):
                yield ".".join([*groups, last.removeprefix("no_")])


def _has(settings: Any, name: str) -> bool:
    first, _, rest = name.partition(".")
    if not hasattr(settings, first):
        return False
    return not rest or _has(getattr(settings, first), rest)


def _value(settings: Any, name: str) -> Any:
    for part in name.split("."):
        settings = getattr(settings, part)
    return settings


def _set(facts: dict[str, Any], key: str, value: Any) -> None:
    *groups, last = key.split(".")
    for group in groups:
        facts = facts[group]
    facts[last] = value
