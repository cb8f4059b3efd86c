"""What registers a pair, by name: nothing, other tools, models.

A name is "identity", "centres", "ants", "ants-affine", "ants-syn", "ants-syncc",
"elastix", "model:NAME_OR_FILE" or "voxelmorph:FILE"; the last two may end in "+fast" or
"+accurate", to be refined on the pair. "model:none+fast" and "model:none+accurate" seek
the transform on the pair alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import NamedTuple

from voltween.baselines import TOOLS, Tool
from voltween.errors import InputError
from voltween.models import load_model, weights_digest
from voltween.process import Used
from voltween.refinement import WITHOUT_MODEL, Refinement, split_name
from voltween.registration import align_centers, register
from voltween.spatial import Affine, Image, Transform

MODEL_PREFIXES = ("model:", "voxelmorph:")


class Answer(NamedTuple):
    """What a method makes of a pair; transforms are fixed to moving world mm."""

    fixed_to_moving: Transform
    stages: Mapping[str, Transform] = MappingProxyType({})
    """Before and after every stage, of methods that have stages."""
    used: Used | None = None
    """What it took, where the method knows better than a clock around it."""


Registering = Callable[[Image, Image], Answer]
"""(fixed, moving) -> Answer."""


@dataclass(frozen=True, eq=False)
class Method:
    """A way to register a pair, and what decides its answers."""

    name: str
    load: Callable[[], Registering]
    """Loads model or tool; an InputError says that the method cannot run here."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Versions and weights: an answer is as good as new while these are the same."""
    make_ready: Callable[[], object] = lambda: None
    """What is done once, before loading, such as training."""
    prepare: Callable[[Image], object] = lambda image: None
    """What is done once for every scan, and not counted in a pair's time."""


def identity(fixed: Image, moving: Image) -> Transform:
    """The map x -> x of world mm: scans as their scanners placed them."""
    return Affine.identity()


def centers(fixed: Image, moving: Image) -> Transform:
    """Rigid map that lays the scans' middles and axes on each other, world mm."""
    return align_centers(fixed.grid, moving.grid)


_WITHOUT_TOOL = {"identity": identity, "centres": centers}


def method_named(name: str, *, device: str = "cpu") -> Method:
    """The method of that name; models compute on the device.

    Raises:
        InputError: If there is no such method or model.
    """
    if name.startswith(MODEL_PREFIXES):
        return model_method(name, name.split(":", 1)[1], device=device)
    if name in _WITHOUT_TOOL:
        function = _WITHOUT_TOOL[name]
        return Method(name, lambda: lambda *pair: Answer(function(*pair)))
    if name in TOOLS:
        tool = TOOLS[name]
        return Method(name, lambda: _loaded(tool), _version_of(tool.package))
    known = (*_WITHOUT_TOOL, *TOOLS, *(f"{prefix}FILE" for prefix in MODEL_PREFIXES))
    raise InputError(f"method must be one of {', '.join(known)}, got {name!r}")


def model_method(name: str, model: str, *, device: str = "cpu") -> Method:
    """A shipped model or a model file, maybe refined, as a method called `name`.

    Raises:
        InputError: If there is no such model.
    """
    file, refinement = split_name(model)
    if file == WITHOUT_MODEL and refinement is None:
        raise InputError(
            f"{name}: without a model there is nothing but a refinement: take "
            f"model:{WITHOUT_MODEL}+fast or model:{WITHOUT_MODEL}+accurate"
        )
    facts = {"device": device, **_version_of("voltween")}
    if file != WITHOUT_MODEL:
        facts["weights"] = weights_digest(file)
    if refinement is not None:
        facts["refinement"] = str(refinement)
    return Method(name, lambda: load_registering(file, device, refinement), facts)


def unavailable(name: str, reason: InputError) -> Method:
    """A method that cannot run here."""

    def load() -> Registering:
        raise reason

    return Method(name, load)


def load_registering(
    name: str, device: str, refinement: Refinement | None = None
) -> Registering:
    """A model ready to register on a device, with a refinement of what it finds.

    Raises:
        InputError: If there is no such model or device.
    """
    model = None if name == WITHOUT_MODEL else load_model(name).to(device)

    def answer(fixed: Image, moving: Image) -> Answer:
        registration = register(fixed, moving, model=model, refinement=refinement)
        return Answer(registration.fixed_to_moving, registration.tweening)

    return answer


def _loaded(tool: Tool) -> Registering:
    tool.check_installed()

    def answer(fixed: Image, moving: Image) -> Answer:
        transform, used = tool.run(fixed, moving)
        return Answer(transform, used=used)

    return answer


def _version_of(package: str) -> dict[str, str]:
    """Name and version of an installed package; empty if there is none."""
    try:
        return {package: version(package)}
    except PackageNotFoundError:
        return {}
