"""Who finds the flows that a network learns: ANTs, or a model polished on each pair.

With a polished model, what optimization finds on a few pairs is spread over all pairs
that the network will ever see (amortised optimization).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from voltween.baselines import TOOLS
from voltween.errors import InputError
from voltween.models import Model, load_model, weights_digest
from voltween.preprocessing import Preprocessing
from voltween.refinement import (
    Evidence,
    Problem,
    Refinement,
    Watch,
    find_transform,
    split_name,
)
from voltween.spatial import Grid, Image

_ANTS = TOOLS["ants-syn"]


class Teacher(ABC):
    """Who finds a flow for a pair; the same each time for the same images."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As people call it."""

    @property
    @abstractmethod
    def facts(self) -> str:
        """All that decides its flows, but for the images: versions, weights.

        Raises:
            InputError: If it is not installed.
        """

    @abstractmethod
    def flow(
        self, fixed: Float[Tensor, "1 i j k"], moving: Float[Tensor, "1 i j k"]
    ) -> Float[Tensor, "3 i j k"]:
        """Flow in voxels: it leads from fixed voxel x to where that is in `moving`.

        Raises:
            InputError: If it is not installed or fails on the pair.
        """


@final
@dataclass(frozen=True)
class Ants(Teacher):
    """ANTs' SyN, affine and deformation together, with antspyx's defaults.

    It is given the arrays as images of 1 mm voxels, and one thread.
    """

    @property
    def name(self) -> str:
        return "ANTs"

    @property
    def facts(self) -> str:
        _ANTS.check_installed()
        return f"{_ANTS.package} {version(_ANTS.package)}"

    def flow(
        self, fixed: Float[Tensor, "1 i j k"], moving: Float[Tensor, "1 i j k"]
    ) -> Float[Tensor, "3 i j k"]:
        _, i, j, k = fixed.shape
        grid = Grid((i, j, k), np.eye(4))
        images = [Image(image[0].cpu().numpy(), grid) for image in (fixed, moving)]
        transform, _ = _ANTS.run(*images, threads=1)
        flow = transform.to_field(grid).to_flow()
        return torch.from_numpy(np.ascontiguousarray(flow, dtype=np.float32))


@final
@dataclass(frozen=True)
class RefinedModel(Teacher):
    """A model whose flow is polished on each pair, on the grid that is trained on.

    It is known by name and digest, so that other processes get no weights.
    """

    model: str
    """Shipped model or model file."""
    digest: str
    """Of its file."""
    refinement: Refinement

    @property
    def name(self) -> str:
        return f"{self.model}, refined"

    @property
    def facts(self) -> str:
        return f"{self.digest} {self.refinement}"

    def flow(
        self, fixed: Float[Tensor, "1 i j k"], moving: Float[Tensor, "1 i j k"]
    ) -> Float[Tensor, "3 i j k"]:
        images = fixed[None], moving[None]
        stage = _loaded(self.model, self.digest).registrar(*images).stages[-1]
        problem = Problem(Evidence(*images), self.refinement, Watch())
        return find_transform(problem, stage.parts.clone()).flow[0]


def teacher_named(name: str, preprocessing: Preprocessing) -> Teacher:
    """The teacher for a canonical grid: "ants", or a model such as "brain+accurate".

    Raises:
        InputError: If there is no such model, or it is made for another grid.
    """
    model, refinement = split_name(name)
    if refinement is None:
        return Ants()
    digest = weights_digest(model)
    its = _loaded(model, digest).preprocessing
    wanted = preprocessing.shape, preprocessing.spacing_mm
    if (its.shape, its.spacing_mm) != wanted:
        raise InputError(
            f"teacher {name}: expected a model for the grid that is trained on, "
            f"{_in_words(preprocessing)}, got one for {_in_words(its)}: train on that "
            "grid, or with another teacher"
        )
    return RefinedModel(model, digest, refinement)


@lru_cache(maxsize=1)
def _loaded(model: str, digest: str) -> Model:
    """The model; the digest sees to it that a file written anew is read anew."""
    return load_model(model)


def _in_words(preprocessing: Preprocessing) -> str:
    return f"{preprocessing.shape} voxels of {preprocessing.spacing_mm} mm"
