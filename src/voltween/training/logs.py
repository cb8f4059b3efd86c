"""Records of a run in progress: tables, curves, TensorBoard, pictures."""

import warnings
from dataclasses import asdict, dataclass

from PIL import Image as Picture

from voltween import process
from voltween.figures import tweening_picture
from voltween.networks import Network
from voltween.storage import whole_file
from voltween.training.curves import write_progress
from voltween.training.run_folder import CURVES, RunFolder
from voltween.training.samples import Sample
from voltween.training.validation import StageValidation, tween


@dataclass(frozen=True)
class StepReport:
    """Loss terms of a step, and its validation if there was one."""

    step: int
    losses: dict[str, float]
    """Empty for step 0, a validation of the model that training starts from."""
    stages: tuple[StageValidation, ...] = ()
    """One per stage, and one before the first; empty in steps without validation."""


class Logs:
    """Writes loss terms, validations, curves and pictures into the folder of a run.

    The pictures show the tweening of one pair, the same after every validation.
    Without Matplotlib there are no curves, with one warning per run.
    """

    def __init__(
        self, folder: RunFolder, steps_done: int, shown: tuple[Sample, Sample] | None
    ) -> None:
        from tensorboardX import SummaryWriter  # 0.3 s

        self._folder = folder
        self._shown = shown
        self._board = SummaryWriter(
            str(folder.path / "tensorboard"), purge_step=steps_done + 1
        )
        self._draws_curves = process.installed_version("matplotlib") is not None
        if not self._draws_curves:
            warnings.warn(
                f"{CURVES} is not drawn, as Matplotlib is not installed: "
                "pip install 'voltween[figures]'",
                stacklevel=2,
            )

    def write(self, report: StepReport, network: Network) -> None:
        """Writes the report of a step."""
        if report.losses:
            self._folder.log_losses(report.step, report.losses)
        for name, value in report.losses.items():
            self._scalar(f"loss/{name}", value, report.step)
        if report.stages:
            self._folder.log_validation(report.step, report.stages)
            self._write_stages(report)
            if self._draws_curves:
                write_progress(self._folder.path, self._folder.path / CURVES)
        if report.stages and self._shown:
            self._write_picture(report.step, network, *self._shown)
        self._board.flush()

    def _write_stages(self, report: StepReport) -> None:
        for stage in report.stages:
            for measure, value in asdict(stage).items():
                if isinstance(value, float):
                    name = f"validation {measure}/{stage.stage}"
                    self._scalar(name, value, report.step)

    def _scalar(self, name: str, value: float, step: int) -> None:
        # TensorBoard does not allow blanks in names and would warn.
        self._board.add_scalar(name.replace(" ", "_"), value, step)

    def _write_picture(
        self, step: int, network: Network, fixed: Sample, moving: Sample
    ) -> None:
        """Writes the tweening of the pair, for TensorBoard and as tweening.png."""
        _, tweening = tween(network, fixed, moving)
        frames = {"fixed": fixed.image[0].numpy(), "moving": moving.image[0].numpy()}
        for name, stage in zip(
            network.config.stage_names, tweening.stages, strict=True
        ):
            frames[f"after {name}"] = stage.moved[0, 0].cpu().numpy()
        title = f"step {step}: {moving.name} to {fixed.name}"
        pixels = tweening_picture(title, frames)
        self._board.add_image("tweening", pixels, step, dataformats="HWC")
        with whole_file(self._folder.path / "tweening.png") as partial:
            Picture.fromarray(pixels).save(partial, format="png")
