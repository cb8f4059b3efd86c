"""Command: measure several methods on the pairs of a cohort."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from voltween.baselines import TIME_LIMIT_MINUTES
from voltween.cli.engine import EngineOptions
from voltween.cli.evaluate import measure_pairs
from voltween.cohorts import cases_of_split, read_manifest
from voltween.evaluation import (
    EvaluationProtocol,
    PairSelection,
    Preparation,
    methods_named,
)


@dataclass(frozen=True)
class Compare:
    """Measure models and other tools on the same pairs of a cohort.

    Methods: identity (no registration), centres (image centers aligned), ants (the
    command of the VTN paper), ants-affine (its command for pre-alignment), ants-syn and
    ants-syncc (of antspyx), elastix (affine, then B-splines with 1000 iterations),
    greedy (affine, then deformable, with local correlation), greedy-nmi (the same with
    normalized mutual information), convexadam (ConvexAdam with MIND features; without
    an affine stage, it starts with the image centers aligned), voxelmorph
    (VoxelMorph-2, first trained on the manifest's `train` cases, which takes long),
    voxelmorph:FILE (trained before), model:NAME_OR_FILE, and refined,
    model:NAME_OR_FILE+fast or +accurate, after which a similarity may follow, as in
    model:brain+accurate+features; model:none+fast optimizes on the pair alone. With
    aligned: before a name, the scans are registered on the atlas of --aligned, and the
    transform is mapped back and measured on the original scans. It writes tables,
    statistical tests and plots. Pairs that cannot be registered are listed and make the
    exit code 1. Tools need voltween[baselines].
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
    time_limit_minutes: float = TIME_LIMIT_MINUTES
    """Minutes that ants, elastix, greedy or convexadam may take for a pair; a pair that
    takes longer is a failed one."""
    device: str = "cpu"
    """Device of the models: cpu, cuda, or auto for a GPU if there is one."""
    selection: Annotated[PairSelection, tyro.conf.arg(name="")] = field(
        default_factory=PairSelection
    )
    protocol: Annotated[EvaluationProtocol, tyro.conf.arg(name="")] = field(
        default_factory=EvaluationProtocol
    )
    engine: Annotated[EngineOptions, tyro.conf.arg(name="")] = field(
        default_factory=EngineOptions
    )

    def run(self) -> None:
        """Measure and write."""
        everything = read_manifest(self.manifest, may_lack_files=True)
        cases = cases_of_split(everything, self.selection.split)
        names = [name.strip() for name in self.methods.split(",") if name.strip()]
        preparation = Preparation(
            everything,
            self.out,
            self.voxelmorph_steps,
            self.aligned,
            self.time_limit_minutes,
        )
        methods = methods_named(names, preparation, device=self.device)
        measure_pairs(
            methods,
            cases,
            selection=self.selection,
            protocol=self.protocol,
            engine=self.engine,
            out=self.out,
        )
