"""Options of a registration, shared by the commands for one pair and for many."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from voltween.errors import InputError, check_range
from voltween.models import check_device_name
from voltween.networks import Precision
from voltween.refinement import (
    FEATURES,
    WITHOUT_MODEL,
    Effort,
    ImageSimilarity,
    Refinement,
    RefinementSimilarity,
    TransformKind,
    choose_refinement,
)
from voltween.registration import AUTO, RefinementChoice, Usual, usual_of
from voltween.reports import Crop, ReportOptions, Viewer

_MOST = 1e4  # of a factor, far above values of use
_OF_DISPLACEMENTS = {
    "--regularity": "whose displacements it smooths",
    "--similarity": f"whose displacements alone are found by {FEATURES}",
    "--symmetric": "for which both directions are compared",
    "--diffeomorphic": "which has velocities",
}


@dataclass(frozen=True)
class RefinementOptions:
    """Options of the instance optimization; any of them switches it on."""

    refine: Effort | Literal["auto", "none"] | int = "auto"
    """Optimize the transform on this pair: fast takes a few times as long as the
    network, accurate a few times longer; or give a number of steps. With none, the
    network's answer stays. auto is what gains most with the model (`voltween models`),
    and accurate if an option below is given."""
    transform: TransformKind = "deformable"
    """Kind of transform that is wanted. rigid, similarity and affine are optimized from
    the network's answer, or from a search without a model."""
    similarity: RefinementSimilarity | None = None
    """Similarity of the images; if not given, the usual one of the model (`voltween
    models`), and local correlation without a model. For two modalities,
    such as T1 and T2, or CT and MR: normalized mutual information, or MIND-SSC. With
    features, structures that a network tells are compared, beside the images
    (`voltween models` lists the organs)."""
    beside_features: ImageSimilarity | None = None
    """Similarity of the images beside --similarity features; if not given, the usual
    one of the model."""
    image_weight: float | None = None
    """Weight of the images beside --similarity features; 0 for none."""
    regularity: float | None = None
    """Factor of the weight of smoothness: above 1 for smoother displacements, below 1
    for ones that follow the images more closely."""
    voxels: float | Literal["own"] | None = None
    """Voxel size of the optimization in mm, or own for that of the fixed scan; if not
    given, that of the model."""
    diffeomorphic: bool = False
    """Optimize a velocity field: smooth, without folds, with an accurate inverse."""
    symmetric: bool = False
    """Diffeomorphic, with images compared in both directions."""
    seconds: float | None = None
    """Stop after this many seconds and keep the best result so far."""
    guide_by_labels: bool = False
    """Align the structures of both label maps too; the overlap measured afterwards is
    then not independent."""
    channel_weights: tuple[float, ...] = ()
    """Weights of the scans and of the further images; if not given, equal weights."""

    def __post_init__(self) -> None:
        self._check_bends()
        self._check_features()
        check_range("--regularity", self.regularity, 0, _MOST)

    def choice(self, *, model_name: str, has_guidance: bool) -> RefinementChoice:
        """The refinement that the options ask for; "auto" if none was given.

        Args:
            model_name: The model whose answer is refined, or "none".
            has_guidance: Whether masks, points or further images were given.

        Raises:
            InputError: If options of a refinement are given, but none is wanted; or if
                there is neither a model nor a refinement.
        """
        if self == RefinementOptions() and not has_guidance:
            return AUTO
        has_model = model_name != WITHOUT_MODEL
        if self.refine == "none":
            if has_guidance or self != RefinementOptions("none"):
                raise InputError(
                    about="--refine none",
                    expected="no option of a refinement beside it",
                    got="some",
                    advice="leave --refine out, or the other options",
                )
            if not has_model:
                raise InputError(
                    about="--refine none",
                    expected="a model, whose answer stays",
                    got="none",
                    advice="leave --refine out, or give a --model",
                )
            return None
        effort = None if self.refine == "auto" else self.refine
        named = choose_refinement(effort, has_model=has_model, transform=self.transform)
        named = self._smoothed(self._comparing(named, usual_of(model_name)))
        return replace(
            named,
            spacing_mm=self.voxels,
            diffeomorphic=self.diffeomorphic or self.symmetric,
            symmetric=self.symmetric,
            seconds=self.seconds,
            channel_weights=self.channel_weights,
        )

    def unbent(self, transform: TransformKind) -> "RefinementOptions":
        """The options for a transform without displacements, as far as they concern it.

        Instead of learned features, the images are compared as beside them.
        """
        by_features = self.similarity == FEATURES
        return replace(
            self,
            refine="auto",
            transform=transform,
            similarity=self.beside_features if by_features else self.similarity,
            beside_features=None,
            image_weight=None,
            regularity=None,
            diffeomorphic=False,
            symmetric=False,
        )

    def _comparing(self, refinement: Refinement, usual: Usual) -> Refinement:
        """The refinement with what is compared: as given, or as is usual."""
        refinement = usual.over(refinement, self.similarity)
        if self.beside_features is not None:
            refinement = replace(refinement, beside_features=self.beside_features)
        if self.image_weight is not None:
            refinement = replace(refinement, image_weight=self.image_weight)
        return refinement

    def _smoothed(self, refinement: Refinement) -> Refinement:
        """The refinement with its weight of smoothness times the factor, if given."""
        if self.regularity is None:
            return refinement
        variation = self.regularity * refinement.update_variation
        return replace(refinement, update_variation=variation)

    def _check_bends(self) -> None:
        """Checks for options of displacements where the transform has none."""
        if self.transform == "deformable":
            return
        given = {
            "--regularity": self.regularity is not None,
            "--similarity": self.similarity == FEATURES,
            "--symmetric": self.symmetric,
            "--diffeomorphic": self.diffeomorphic,
        }
        for option, is_given in given.items():
            if is_given:
                value = f" and --similarity {FEATURES}" * (option == "--similarity")
                raise InputError(
                    about=option,
                    expected=f"a deformable transform, {_OF_DISPLACEMENTS[option]}",
                    got=f"--transform {self.transform}{value}",
                    advice="leave one of the two out",
                )

    def _check_features(self) -> None:
        """Checks for options that mean nothing without learned features."""
        given = {
            "--beside-features": self.beside_features,
            "--image-weight": self.image_weight,
        }
        got = "none" if self.similarity is None else f"--similarity {self.similarity}"
        for option, value in given.items():
            if value is not None and self.similarity != FEATURES:
                raise InputError(
                    about=option,
                    expected=f"--similarity {FEATURES} beside it",
                    got=got,
                    advice="leave it out, or take this similarity",
                )


@dataclass(frozen=True)
class RegistrationOptions:
    """Choices of how scans are registered, and of the files that are written."""

    model: str = AUTO
    """Shipped model (see `voltween models`) or model file. auto takes the shipped model
    that learned from such scans, or none. With none, the transform is optimized on the
    pair alone, for any anatomy."""
    device: str = "cpu"
    """Device of the model, and of the refinement of its answer: cpu, cuda, or auto for
    a GPU if there is one. Without a model, the CPU."""
    structures: Path | None = None
    """CSV with columns label and name, for the names of structures in
    registration.json; if not given, the names that DICOM label files state."""
    outputs: str | None = None
    """Files to write beside registration.json, separated by commas: moved, labels
    (moved_labels.nii.gz), transform, field (fixed_to_moving.nii.gz), inverse, overview,
    jacobian, carried-labels (carried_labels.nii.gz, the fixed labels on the moving
    scan), carried-points (carried_points.csv, the fixed points in the moving scan),
    moved-points (moved_points.csv), report (report.html); if not given, all but field
    and jacobian. What is left out is not computed."""
    jacobian: bool = False
    """Write jacobian.nii.gz, too: jacobian among --outputs."""
    no_folding: bool = False
    """Smooth the transform around folds until no voxel of the fixed scan folds."""
    precision: Precision = "fp32"
    """Precision of the network's features: bf16 is faster on processors with AMX and
    differs by hundredths of a voxel; auto uses it where it is faster."""
    report_crop: Crop = "none"
    """With brain, all pictures (report.html, overview.png, the index of a cohort) show
    nothing away from the brain, such as the face. moved.nii.gz stays whole."""
    viewer: Viewer = "planes"
    """With niivue, report.html holds NiiVue too, to open the scans as volumes."""
    refinement: RefinementOptions = field(default_factory=RefinementOptions)

    def __post_init__(self) -> None:
        check_device_name(self.device)

    @property
    def report(self) -> ReportOptions:
        """The choices of the report."""
        return ReportOptions(self.report_crop, self.viewer)

    @property
    def names_of_outputs(self) -> list[str] | None:
        """The names of the wanted outputs as given; None for the usual ones."""
        if self.outputs is None:
            return None
        return [word.strip() for word in self.outputs.split(",") if word.strip()]
