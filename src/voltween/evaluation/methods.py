"""Methods that register a pair: no registration, other tools, models.

`method_names` has the language in which comparisons name them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from voltween.baselines import TIME_LIMIT_MINUTES, Tool
from voltween.errors import InputError
from voltween.models import check_device_name, load_model, weights_digest
from voltween.process import Used, installed_version
from voltween.refinement import (
    WITHOUT_MODEL,
    Refinement,
    TransformKind,
    choose_refinement,
    split_name,
)
from voltween.registration import (
    Criterion,
    register,
    register_by_network,
    settle_named,
)
from voltween.spatial import Image, Transform


class Answer(NamedTuple):
    """The answer of a method for a pair; transforms map fixed to moving world mm."""

    fixed_to_moving: Transform
    stages: Mapping[str, Transform] = MappingProxyType({})
    """The transform before and after every stage, of methods that have stages; the last
    one is `fixed_to_moving`."""
    used: Used | None = None
    """Resources used, if the method measures them itself."""

    def map_transforms(self, change: Callable[[Transform], Transform]) -> "Answer":
        """The answer with each transform changed once, that of the last stage too."""
        stages = {name: change(stage) for name, stage in self.stages.items()}
        *_, last = stages.values() if stages else [change(self.fixed_to_moving)]
        return Answer(last, stages, self.used)


Registering = Callable[[Image, Image], Answer]
"""(fixed, moving) -> Answer."""


_WITHOUT_MODEL = Criterion()


@dataclass(frozen=True, eq=False)
class Method:
    """A way to register a pair, and the facts that its answers depend on."""

    name: str
    load: Callable[[], Registering]
    """Loads the model or tool; raises InputError if the method cannot run here."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Versions and weights: a kept answer is valid while these are the same."""
    make_ready: Callable[[], object] = lambda: None
    """Work that is done once, before loading, such as training."""
    prepare: Callable[[Image], object] = lambda image: None
    """Work that is done once per scan and not counted in the time of a pair."""
    criterion: Criterion = _WITHOUT_MODEL
    """Answers with which the verdict compares those of the method."""


def plain_method(name: str, register: Callable[[Image, Image], Transform]) -> Method:
    """A function (fixed, moving) -> Transform as a method."""
    return Method(name, lambda: lambda *pair: Answer(register(*pair)))


def tool_method(
    name: str, tool: Tool, *, time_limit_minutes: float = TIME_LIMIT_MINUTES
) -> Method:
    """Another registration tool as a method, with a time limit per pair."""
    facts = {**_version_of(tool.package), **tool.facts}
    kind: TransformKind = "affine" if tool.is_affine else "deformable"
    refinement = choose_refinement(None, has_model=False, transform=kind)
    return Method(
        name,
        lambda: _load_tool(tool, time_limit_minutes),
        facts,
        criterion=Criterion(refinement=refinement),
    )


def model_method(name: str, model: str, *, device: str = "cpu") -> Method:
    """A shipped model or a model file, optionally refined, as a method called `name`.

    Raises:
        InputError: If there is no such model or device.
    """
    check_device_name(device)
    file, named = split_name(model)
    refinement = settle_named(file, named)
    if file == WITHOUT_MODEL and refinement is None:
        raise InputError(
            about=name,
            expected="a refinement, since there is no model",
            got="none",
            advice=f"give model:{WITHOUT_MODEL}+fast or model:{WITHOUT_MODEL}+accurate",
        )
    facts = {"device": device, **_version_of("voltween")}
    if file != WITHOUT_MODEL:
        facts["weights"] = weights_digest(file)
    if refinement is not None:
        facts["refinement"] = str(refinement)
    return Method(
        name,
        lambda: load_registering(file, device, refinement),
        facts,
        criterion=Criterion(file, refinement),
    )


def unavailable(name: str, reason: InputError) -> Method:
    """A method that cannot run here."""

    def load() -> Registering:
        raise reason

    return Method(name, load)


def load_registering(
    name: str, device: str, refinement: Refinement | None = None
) -> Registering:
    """Loads a model to register on a device, with an optional refinement.

    Raises:
        InputError: If there is no such model or device.
    """
    model = None if name == WITHOUT_MODEL else load_model(name).to(device)

    def answer(fixed: Image, moving: Image) -> Answer:
        if model is not None and refinement is None:
            registration = register_by_network(fixed, moving, model)
        else:
            registration = register(fixed, moving, model=model, refinement=refinement)
        return Answer(registration.fixed_to_moving, registration.tweening)

    return answer


def _load_tool(tool: Tool, time_limit_minutes: float) -> Registering:
    tool.check_installed()

    def answer(fixed: Image, moving: Image) -> Answer:
        transform, used = tool.run(fixed, moving, time_limit_minutes=time_limit_minutes)
        return Answer(transform, used=used)

    return answer


def _version_of(package: str) -> dict[str, str]:
    """Name and version of an installed package; empty if it is not installed."""
    version = installed_version(package)
    return {} if version is None else {package: version}
