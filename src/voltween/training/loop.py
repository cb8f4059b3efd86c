"""The training loop (paper section V): random ordered pairs, Adam, halved rates.

Pairs and augmentation depend on the seed and the step alone. A run that was killed and
resumed therefore ends with the weights of an uninterrupted run, and a run on two
devices with those of a run on one, up to rounding.
"""

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from voltween import process
from voltween.cohorts import Case
from voltween.errors import InputError
from voltween.models import Model, ModelFingerprint
from voltween.networks import Network, config_facts
from voltween.process import Deferral, deferring_signals
from voltween.storage import alone_in, content_digest, output_folder
from voltween.training.averaging import average_of
from voltween.training.batches import (
    NamedBatch,
    Share,
    batches,
    naming_dead_workers,
)
from voltween.training.hardware import Hardware
from voltween.training.initial_network import initial_network
from voltween.training.logs import Logs, StepReport
from voltween.training.model_references import model_identity, teacher_identity
from voltween.training.objective import Objective, PairBatch, pair_losses, total_loss
from voltween.training.recipe import Recipe, TrainConfig, learning_rate
from voltween.training.run_folder import Progress, RunFolder, environment
from voltween.training.samples import Sample
from voltween.training.training_data import TrainingData, load_training_data
from voltween.training.validation import (
    INVERTED,
    Pairs,
    StageValidation,
    measure_stages,
    merit,
    stage_means,
    validation_pairs,
)

if TYPE_CHECKING:
    from lightning_fabric import Fabric

logger = logging.getLogger(__name__)


def train(
    cases: Sequence[Case],
    recipe: Recipe,
    *,
    out: Path,
    hardware: Hardware | None = None,
    cache: Path | None = None,
    on_step: Callable[[StepReport], None] = lambda report: None,
) -> Path:
    """Trains a network on the `train` cases and returns the file of the best model.

    The best model has the highest mean Dice on pairs of `val` cases on the network's
    grid, or the highest correlation if they have no labels.

    Args:
        cases: The cohort.
        recipe: Grid, network and settings.
        out: Folder of the run. If it holds a run of the same recipe that was cut short,
            the run resumes, with the same result. No two trainings use one folder.
        hardware: Devices and processes; one device if not given.
        cache: Folder for the cases on their canonical grids; in `out` if not given.
        on_step: Called after every step, in the first process.

    Raises:
        InputError: If the cases cannot be used, `out` holds a run of another recipe or
            is in use by another training, or the loss is not finite.
        MissingPackageError: If a package of the extra `train` is not installed.
        OutputError: If a folder cannot be written to.
    """
    process.require("tensorboardX", extra="train", purpose="training")
    hardware = hardware or Hardware()
    fabric = hardware.fabric(recipe.training.precision)
    # The other processes of one training have no lock of their own.
    is_first = fabric.is_global_zero
    lock = alone_in(output_folder(out), work="training") if is_first else nullcontext()
    with lock, naming_dead_workers():
        training = Training(cases, recipe, out=out, fabric=fabric)
        if training.is_finished:
            return training.folder.best
        data = load_training_data(
            cases,
            recipe,
            cache or out / "cache",
            fabric,
            workers=hardware.workers,
        )
        training.run(data, workers=hardware.workers, on_step=on_step)
        return training.folder.best


class TrainingStep(nn.Module):
    """Weighted loss terms of pairs, as a module that Fabric can run on every device."""

    def __init__(self, network: Network, objective: Objective) -> None:
        super().__init__()
        self.network = network
        self.objective = objective

    def forward(self, pairs: PairBatch) -> dict[str, Tensor]:
        """Loss terms by name, means over the pairs."""
        return pair_losses(self.network, pairs, self.objective)


class Training:
    """A run: its network, optimizer, folder and progress."""

    def __init__(
        self, cases: Sequence[Case], recipe: Recipe, *, out: Path, fabric: "Fabric"
    ) -> None:
        config = recipe.training
        self.recipe = recipe
        self.fabric = fabric
        self.share = Share(fabric.global_rank, fabric.world_size)
        self.folder = RunFolder(out, recipe_facts(cases, recipe), config.kept_states)
        self.network = initial_network(recipe).to(fabric.device)
        optimizer = torch.optim.Adam(
            self.network.parameters(), lr=config.learning_rate, fused=True
        )
        self.average = average_of(self.network, config.averaged_steps)
        self.progress = self.folder.resume(self.network, optimizer, self.average)
        self._fingerprint: ModelFingerprint | None = None
        self._optimizer = optimizer
        step = TrainingStep(self.network, config.objective)
        self._losses, self._stepper = fabric.setup(step, optimizer)

    @property
    def result(self) -> Network:
        """The network that is validated and kept: the mean of its weights, if any."""
        if self.average is None:
            return self.network
        return cast(Network, self.average.module)

    @property
    def is_finished(self) -> bool:
        """Whether all steps are done, or patience has run out."""
        config = self.recipe.training
        patience = config.patience or config.steps
        return (
            self.progress.step >= config.steps
            or self.progress.without_better >= patience
        )

    def run(
        self, data: TrainingData, *, workers: int, on_step: Callable[[StepReport], None]
    ) -> None:
        """Takes all remaining steps, or those until a signal asks for the end.

        Raises:
            KeyboardInterrupt: After such a signal, with the state of the step kept.
        """
        with deferring_signals() as stop:
            self._take_steps(data, stop, workers=workers, on_step=on_step)

    def _take_steps(
        self,
        data: TrainingData,
        stop: Deferral,
        *,
        workers: int,
        on_step: Callable[[StepReport], None],
    ) -> None:
        config = self.recipe.training
        first = self.progress.step + 1
        self._fingerprint = data.fingerprint
        logs = self._logs(data)
        if first == 1 and config.start_from is not None:
            self._judge_start(data.val, logs, on_step)
        for step, portions in enumerate(
            batches(data.pairs, self.share, first_step=first, workers=workers), first
        ):
            losses = self.take_step(step, portions)
            is_validated = step == config.steps or step % config.validate_every == 0
            stages = self.validate(data.val) if is_validated else ()
            if logs:
                report = StepReport(step, losses, stages)
                logs.write(report, self.result)
                on_step(report)
            if is_validated:
                self.keep(step, stages)
            if self.is_finished:
                break
            if self._is_stopping(stop):
                self._keep_interrupted(step, is_kept=is_validated)
                break
        self.fabric.barrier()  # no process ends before the files are written

    def take_step(self, step: int, portions: Sequence[NamedBatch]) -> dict[str, float]:
        """Updates the weights by the pairs of a step.

        Returns:
            Loss terms by name, means over the pairs of all devices.

        Raises:
            InputError: If the loss or a weight is not finite.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(step, self.recipe.training)
        self._stepper.zero_grad()
        sums: dict[str, Tensor] = {}
        for number, batch in enumerate(portions, 1):
            is_last = number == len(portions)
            with self.fabric.no_backward_sync(self._losses, enabled=not is_last):
                terms = self._losses(batch.pairs.to(self.fabric.device))
                self.fabric.backward(total_loss(terms) / len(portions))
            for name, term in terms.items():
                sums[name] = sums.get(name, 0) + term.detach() / len(portions)
        self._check_finite(step, total_loss(sums), portions)
        self._stepper.step()
        self._check_finite(step, self._largest_weight(), portions)
        if self.average is not None:
            self.average.update_parameters(self.network)
        means = self._reduce(torch.stack(list(sums.values())), "mean")
        return dict(zip(sums, means.tolist(), strict=True))

    def validate(self, samples: Sequence[Sample]) -> tuple[StageValidation, ...]:
        """Means of every stage over the validation pairs, which devices share.

        A training on synthesized pairs is validated twice: on the scans as they are,
        and with the contrast of the moving scan inverted.
        """
        config = self.recipe.training
        is_synthesized = config.synthesis.share > 0
        pairs = validation_pairs(
            samples, config.validation_pairs, within_cohorts=is_synthesized
        )
        if not pairs:
            return ()
        stages = self._stages(samples, pairs)
        if not is_synthesized:
            return stages
        turned = self._stages(samples, pairs, is_inverted=True)
        return (*stages, *(replace(s, stage=s.stage + INVERTED) for s in turned))

    def _stages(
        self, samples: Sequence[Sample], pairs: Pairs, *, is_inverted: bool = False
    ) -> tuple[StageValidation, ...]:
        names = self.recipe.network.stage_names
        figures = torch.zeros(len(pairs), len(names) + 1, 3)
        of_this_device = slice(self.share.rank, None, self.share.devices)
        own = pairs[of_this_device]
        measured = measure_stages(self.result, samples, own, is_inverted=is_inverted)
        figures[of_this_device] = torch.from_numpy(measured).float()
        summed = self._reduce(figures, "sum").double()
        return tuple(stage_means(summed.numpy(), names))

    def keep(self, step: int, stages: Sequence[StageValidation]) -> None:
        """Saves the state, and the model if it is the best so far."""
        reached = merit(stages) if stages else None
        best = self.progress.best
        is_better = best is None or reached is None or reached > best
        self.progress = Progress(
            step=step,
            best=reached if is_better else best,
            without_better=0 if is_better else self.progress.without_better + 1,
        )
        if not self.fabric.is_global_zero:
            return
        if is_better:
            figures = {
                "steps": step,
                "validation_on_network_grid": [asdict(stage) for stage in stages],
            }
            model = Model(
                "best",
                self.result,
                self.recipe.preprocessing,
                figures,
                fingerprint=self._fingerprint,
            )
            self.folder.save_best(model)
        self._save_state()

    def _judge_start(
        self,
        val: Sequence[Sample],
        logs: Logs | None,
        on_step: Callable[[StepReport], None],
    ) -> None:
        """Validates the model that training starts from: the best one so far.

        A run that was killed before its first kept step is at step 0 again: the same
        model is not one that is no better than itself.
        """
        self.progress = Progress()
        stages = self.validate(val)
        if not stages:
            return
        if logs:
            report = StepReport(0, {}, stages)
            logs.write(report, self.result)
            on_step(report)
        self.keep(0, stages)

    def _is_stopping(self, stop: Deferral) -> bool:
        """Whether a signal asks one of the devices to stop, so that all stop as one."""
        if self.share.devices > 1:
            asked = torch.tensor(float(stop.is_asked))
            stop.is_asked = float(self._reduce(asked, "sum")) > 0
        return stop.is_asked

    def _keep_interrupted(self, step: int, *, is_kept: bool) -> None:
        """Saves the state of a step after which a signal ends the run."""
        self.progress = replace(self.progress, step=step)
        if self.fabric.is_global_zero:
            if not is_kept:
                self._save_state()
            logger.info("step %d is kept in %s", step, self.folder.path)

    def _save_state(self) -> None:
        self.folder.save_state(
            self.network, self._optimizer, self.progress, self.average
        )

    def _logs(self, data: TrainingData) -> Logs | None:
        """The logs of the run; None in all processes but the first."""
        if not self.fabric.is_global_zero:
            return None
        self.folder.begin(self.progress, environment(), self.recipe.remarks)
        pairs = validation_pairs(data.val, 1)
        shown = [(data.val[f], data.val[m]) for f, m in pairs]
        return Logs(self.folder, self.progress.step, shown[0] if shown else None)

    def _check_finite(
        self, step: int, value: Tensor, portions: Sequence[NamedBatch]
    ) -> None:
        """Stops all devices if the loss or a weight is not finite on one of them.

        Weights are checked too, as a state with such weights must never be saved.
        """
        is_finite = torch.isfinite(value)
        if self._reduce(is_finite.float(), "mean") == 1:
            return
        names = ", ".join(batch.names for batch in portions)
        where = f"pairs {names}" if not is_finite else "pairs of another device"
        states = self.folder.states
        last = states[-1] if states else "none yet"
        raise InputError(
            about=f"step {step} ({where})",
            expected="a finite loss and finite weights",
            got="NaN or infinity",
            advice=f"look at these scans, or start again with a lower learning rate "
            f"(last good state: {last})",
        )

    def _largest_weight(self) -> Tensor:
        """Largest magnitude of a weight; NaN if a weight is NaN."""
        weights = self.network.parameters()
        return torch.stack([weight.detach().abs().max() for weight in weights]).max()

    def _reduce(self, values: Tensor, how: str) -> Tensor:
        """The mean or the sum over all devices."""
        reduced = self.fabric.all_reduce(values.to(self.fabric.device), reduce_op=how)
        assert isinstance(reduced, Tensor)
        return reduced.cpu()


def recipe_facts(cases: Sequence[Case], recipe: Recipe) -> dict[str, Any]:
    """Everything that decides the result of a run, as JSON types."""
    facts = {
        "voltween": process.installed_version("voltween"),
        "torch": torch.__version__,
        "train_cases": [case.name for case in cases if case.split == "train"],
        "val_cases": [case.name for case in cases if case.split == "val"],
        "preprocessing": asdict(recipe.preprocessing),
        **config_facts(recipe.network),
        "training": _stated(recipe.training),
    }
    return json.loads(json.dumps(facts))


def _stated(training: TrainConfig) -> dict[str, Any]:
    """The settings of a training; files count by their content, wherever they lie."""
    facts, synthesis = asdict(training), training.synthesis
    facts["teacher"] = teacher_identity(training.teacher)
    if training.start_from is not None:
        facts["start_from"] = model_identity(training.start_from)
    if synthesis.tissues is not None:
        facts["synthesis"]["tissues"] = content_digest(synthesis.tissues)
    if synthesis.teacher is not None:
        facts["synthesis"]["teacher"] = teacher_identity(synthesis.teacher)
    return facts
