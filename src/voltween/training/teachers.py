"""Teachers, which find the flows that a network learns: ANTs, or a model.

A refined model carries the result of instance optimization on a few pairs over to every
pair that the network will see (amortized optimization).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from voltween import process
from voltween.baselines import TOOLS
from voltween.errors import InputError
from voltween.models import Model, load_model, weights_digest
from voltween.preprocessing import Preprocessing
from voltween.refinement import (
    PairTensors,
    Problem,
    Refinement,
    SideTensors,
    Watch,
    find_transform,
    split_name,
)
from voltween.spatial import Grid, Image
from voltween.training.recipe import TOOL_TEACHERS


class Teacher(ABC):
    """A method that finds flows; the same images always get the same flow."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name for people."""

    @property
    @abstractmethod
    def facts(self) -> str:
        """Everything but the images that decides its flows: versions, weights.

        Raises:
            MissingPackageError: If it is not installed.
        """

    @abstractmethod
    def flow(
        self, fixed: Float[Tensor, "1 i j k"], moving: Float[Tensor, "1 i j k"]
    ) -> Float[Tensor, "3 i j k"]:
        """Finds the flow in voxels from fixed voxels to their positions in `moving`.

        Raises:
            InputError: If it fails on the pair.
            MissingPackageError: If it is not installed.
        """


@final
@dataclass(frozen=True)
class Ants(Teacher):
    """ANTs, affine and deformation: the paper's command, or SyN of antspyx.

    It gets the arrays as images with voxels of 1 mm, and one thread.
    """

    tool: str
    """Name of the tool: "ants" or "ants-syn"."""

    @property
    def name(self) -> str:
        return f"ANTs ({self.tool})"

    @property
    def facts(self) -> str:
        tool = TOOLS[self.tool]
        tool.check_installed()
        version = process.installed_version(tool.package)
        return f"{self.tool}, {tool.package} {version}"

    def flow(
        self, fixed: Float[Tensor, "1 i j k"], moving: Float[Tensor, "1 i j k"]
    ) -> Float[Tensor, "3 i j k"]:
        _, i, j, k = fixed.shape
        grid = Grid((i, j, k), np.eye(4))
        images = [Image(image[0].cpu().numpy(), grid) for image in (fixed, moving)]
        transform, _ = TOOLS[self.tool].run(*images, threads=1)
        flow = transform.to_field(grid).to_flow()
        return torch.from_numpy(np.ascontiguousarray(flow, dtype=np.float32))


@final
@dataclass(frozen=True)
class ModelTeacher(Teacher):
    """A model, refined on each pair or as it is, on the grid of the training.

    It holds the name and digest of the model, not its weights, which other processes
    would otherwise be sent.
    """

    model: str
    """Shipped model or model file."""
    digest: str
    """SHA-256 of its file."""
    refinement: Refinement | None

    @property
    def name(self) -> str:
        return f"{self.model}, refined" if self.refinement else self.model

    @property
    def facts(self) -> str:
        return f"{self.digest} {self.refinement}"

    def flow(
        self, fixed: Float[Tensor, "1 i j k"], moving: Float[Tensor, "1 i j k"]
    ) -> Float[Tensor, "3 i j k"]:
        images = fixed[None], moving[None]
        stage = _load(self.model, self.digest).registrar(*images).stages[-1]
        if self.refinement is None:
            return stage.flow[0]
        pair = PairTensors(SideTensors(images[0]), SideTensors(images[1]))
        problem = Problem(pair, self.refinement, Watch())
        return find_transform(problem, stage.parts.clone()).flow[0]


def teacher_named(name: str, preprocessing: Preprocessing) -> Teacher:
    """The teacher of a name, a tool or a model, refined or not, for a grid.

    Such names are "ants", "brain+accurate" and "brain".

    Raises:
        InputError: If there is no such model, or it has another grid.
    """
    if name in TOOL_TEACHERS:
        return Ants(name)
    model, named = split_name(name)
    digest = weights_digest(model)
    grid, grid_of_model = (
        (p.shape, p.spacing_mm)
        for p in (preprocessing, _load(model, digest).preprocessing)
    )
    if grid_of_model != grid:
        raise InputError(
            about=f"teacher {name}",
            expected=f"a model for the grid of the training, {_in_words(*grid)}",
            got=f"one for {_in_words(*grid_of_model)}",
            advice="train on that grid, or with another teacher",
        )
    refinement = None if named is None else named.settings(has_model=True)
    return ModelTeacher(model, digest, refinement)


@lru_cache(maxsize=1)
def _load(model: str, digest: str) -> Model:
    """The model; the digest makes a file with new content be read again."""
    return load_model(model)


def _in_words(shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> str:
    return f"{shape} voxels of {spacing_mm} mm"
