"""Command: measure several methods on the pairs of a cohort."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from voltween.cli.evaluate import Choice, measure_pairs
from voltween.cohorts import Case, cases_of_split, read_manifest
from voltween.errors import InputError
from voltween.evaluation import (
    Method,
    Protocol,
    method_named,
    prealign,
    read_alignment,
    voxelmorph_method,
)

_ALIGNED = "aligned:"


@dataclass(frozen=True)
class Compare:
    """Measure models and other tools on the same pairs of a cohort.

    Methods: identity (no registration), centres (image centers aligned), ants (the
    command of the VTN paper), ants-affine (its command for pre-alignment), ants-syn and
    ants-syncc (of antspyx), elastix (affine, then B-splines with 1000 iterations),
    voxelmorph (VoxelMorph-2, first trained on the manifest's `train` cases, which takes
    long), voxelmorph:FILE (trained before), model:NAME_OR_FILE. With aligned: before a
    name, the scans are registered on the atlas of --aligned, and the transform is
    mapped back and measured on the original scans. It writes tables, statistical tests
    and plots. Tools need voltween[baselines].
    """

    manifest: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
    """CSV of cases; overlap needs labels, landmark distances need points."""
    methods: str
    """Names of methods, separated by commas."""
    out: Path
    """Folder for the tables."""
    aligned: Path | None = None
    """Folder made by `voltween align`, for names that begin with aligned:."""
    voxelmorph_steps: int | None = None
    """Training steps of `voxelmorph`; if not given, the published 5000."""
    device: str = "cpu"
    """Device of the models, such as cpu or cuda."""
    choice: Annotated[Choice, tyro.conf.arg(name="")] = field(default_factory=Choice)
    protocol: Annotated[Protocol, tyro.conf.arg(name="")] = field(
        default_factory=Protocol
    )

    def run(self) -> None:
        """Measure and write."""
        everything = read_manifest(self.manifest)
        cases = cases_of_split(everything, self.choice.split)
        names = [name.strip() for name in self.methods.split(",") if name.strip()]
        if not names or len(set(names)) < len(names):
            raise InputError(
                f"--methods must name different methods, got {self.methods!r}"
            )
        methods = [self._method(name, everything) for name in names]
        measure_pairs(methods, cases, self.choice, self.protocol, self.out)

    def _method(self, name: str, cases: tuple[Case, ...]) -> Method:
        if name.startswith(_ALIGNED):
            if self.aligned is None:
                raise InputError(
                    f"{name}: needs --aligned DIR, made by `voltween align`"
                )
            inner_name = name.removeprefix(_ALIGNED)
            if inner_name == "voxelmorph":
                raise InputError(
                    f"{name}: would be trained on scans that are not aligned: train it "
                    "on those of `voltween align`, then give aligned:voxelmorph:FILE"
                )
            inner = self._method(inner_name, cases)
            return prealign(inner, read_alignment(self.aligned), name=name)
        if name == "voxelmorph":
            return voxelmorph_method(
                cases,
                self.out / "voxelmorph",
                steps=self.voxelmorph_steps,
                device=self.device,
            )
        return method_named(name, device=self.device)
