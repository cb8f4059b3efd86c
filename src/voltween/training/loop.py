"""The training loop (paper section V): random ordered pairs, Adam, halved rates.

Each step's pairs and augmentation depend on the seed and the step alone, so a run that
was killed and resumed is the run that was not, and a run on two devices is the run on
one, up to rounding.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from voltween.cohorts import Case, cases_of_split
from voltween.errors import InputError
from voltween.models import load_model
from voltween.networks import Network, build, config_facts, weights_for
from voltween.training.batches import NamedBatch, PairSampler, Share, batches
from voltween.training.hardware import Hardware
from voltween.training.logs import Logs, StepReport
from voltween.training.objective import Objective, PairBatch, pair_losses, total_loss
from voltween.training.recipe import Recipe, learning_rate
from voltween.training.run_folder import Progress, RunFolder, environment
from voltween.training.samples import Sample, store_samples
from voltween.training.targets import TargetFlows, target_pairs
from voltween.training.teachers import teacher_named
from voltween.training.validation import (
    StageValidation,
    measure_stages,
    merit,
    stage_means,
    validation_pairs,
)

if TYPE_CHECKING:
    from lightning_fabric import Fabric


logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What is trained on, and the samples to validate on."""

    pairs: PairSampler
    val: Sequence[Sample]


def train(
    cases: Sequence[Case],
    recipe: Recipe,
    *,
    out: Path,
    hardware: Hardware | None = None,
    cache: Path | None = None,
    on_step: Callable[[StepReport], None] = lambda report: None,
) -> Path:
    """Train a network on the `train` cases; returns the file of the best model.

    Best is the highest mean Dice on pairs of `val` cases on the network's grid, or the
    highest correlation where they have no labels. If `out` holds a run of the same
    recipe that was cut short, it goes on from there with the same result. `cache` is
    where the cases are kept on their canonical grids: in `out` if not given.

    Raises:
        InputError: If the cases cannot be used, `out` cannot be written to or holds a
            run of another recipe, or the loss is not finite.
    """
    hardware = hardware or Hardware()
    fabric = hardware.fabric(recipe.training.precision)
    training = Training(cases, recipe, out=out, fabric=fabric)
    if training.is_finished:
        return training.folder.best
    data = load_training_data(cases, recipe, cache or out / "cache", fabric)
    training.run(data, workers=hardware.workers, on_step=on_step)
    return training.folder.best


class TrainingStep(nn.Module):
    """From pairs to weighted loss terms by name: what every device does."""

    def __init__(self, network: Network, objective: Objective) -> None:
        super().__init__()
        self.network = network
        self.objective = objective

    def forward(self, pairs: PairBatch) -> dict[str, Tensor]:
        """Loss terms of the pairs, means over them."""
        return pair_losses(self.network, pairs, self.objective)


class Training:
    """A run: network, optimizer, folder, and how far it has come."""

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
        self.progress = self.folder.resume(self.network, optimizer)
        self._optimizer = optimizer
        step = TrainingStep(self.network, config.objective)
        self._losses, self._stepper = fabric.setup(step, optimizer)

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
        """All steps that are left."""
        config = self.recipe.training
        first = self.progress.step + 1
        logs = self._logs(data)
        for step, portions in enumerate(
            batches(data.pairs, self.share, first_step=first, workers=workers), first
        ):
            losses = self.take_step(step, portions)
            is_validated = step == config.steps or step % config.validate_every == 0
            stages = self.validate(data.val) if is_validated else ()
            if logs:
                report = StepReport(step, losses, stages)
                logs.write(report, self.network)
                on_step(report)
            if is_validated:
                self.keep(step, stages)
            if self.is_finished:
                break
        self.fabric.barrier()  # nobody leaves before the files are written

    def take_step(self, step: int, portions: Sequence[NamedBatch]) -> dict[str, float]:
        """Learn from the pairs of a step; loss terms, means over all devices' pairs."""
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
        means = self._reduced(torch.stack(list(sums.values())), "mean")
        return dict(zip(sums, means.tolist(), strict=True))

    def validate(self, samples: Sequence[Sample]) -> tuple[StageValidation, ...]:
        """Every stage on the validation pairs, shared out over the devices."""
        pairs = validation_pairs(samples, self.recipe.training.validation_pairs)
        if not pairs:
            return ()
        names = self.recipe.network.stage_names
        figures = torch.zeros(len(pairs), len(names) + 1, 3)
        own = slice(self.share.rank, None, self.share.devices)
        measured = measure_stages(self.network, samples, pairs[own])
        figures[own] = torch.from_numpy(measured).float()
        summed = self._reduced(figures, "sum").double()
        return tuple(stage_means(summed.numpy(), names))

    def keep(self, step: int, stages: Sequence[StageValidation]) -> None:
        """Save the state, and the model if it is the best so far."""
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
            self.folder.save_best(self.network, self.recipe.preprocessing, figures)
        self.folder.save_state(self.network, self._optimizer, self.progress)

    def _logs(self, data: TrainingData) -> Logs | None:
        """Where the first process writes what happens."""
        if not self.fabric.is_global_zero:
            return None
        self.folder.begin(self.progress, environment())
        pairs = validation_pairs(data.val, 1)
        shown = [(data.val[f], data.val[m]) for f, m in pairs]
        return Logs(self.folder, self.progress.step, shown[0] if shown else None)

    def _check_finite(
        self, step: int, value: Tensor, portions: Sequence[NamedBatch]
    ) -> None:
        """Stop on every device if the loss or a weight is not finite on any.

        Weights, too: a state with such weights must never be saved.
        """
        is_finite = torch.isfinite(value)
        if self._reduced(is_finite.float(), "mean") == 1:
            return
        names = ", ".join(batch.names for batch in portions)
        where = f"pairs {names}" if not is_finite else "pairs of another device"
        states = self.folder.states
        last = states[-1] if states else "none was saved yet"
        raise InputError(
            f"the loss or a weight is not finite at step {step} ({where}); last good "
            f"state: {last}. Look at these scans, or start again with a lower learning "
            "rate"
        )

    def _largest_weight(self) -> Tensor:
        """Not a number if one of the weights is not."""
        weights = self.network.parameters()
        return torch.stack([weight.detach().abs().max() for weight in weights]).max()

    def _reduced(self, values: Tensor, how: str) -> Tensor:
        """Mean or sum over all devices."""
        reduced = self.fabric.all_reduce(values.to(self.fabric.device), reduce_op=how)
        assert isinstance(reduced, Tensor)
        return reduced.cpu()


def initial_network(recipe: Recipe) -> Network:
    """The network before its first step.

    Raises:
        InputError: If the model to start from has another network, or the package that
            the network comes from is missing.
    """
    config = recipe.training
    torch.manual_seed(config.seed)
    network = build(recipe.network)
    network.recomputes_features = config.recompute_features
    if config.start_from is not None:
        model = load_model(config.start_from)
        state = weights_for(recipe.network, model.network)
        if state is None:
            raise InputError(
                f"{config.start_from}: expected a model of {recipe.network}, got "
                f"{model.network.config}: train with the network of that model"
            )
        network.load_state_dict(state)
    return network


def load_training_data(
    cases: Sequence[Case], recipe: Recipe, cache: Path, fabric: "Fabric"
) -> TrainingData:
    """The cases on their canonical grids, each made by one of the processes.

    Raises:
        InputError: If a case cannot be used, or lacks labels that training needs, or
            the teacher cannot be used.
    """
    config = recipe.training
    is_taught = config.objective.end_point_error > 0
    # What cannot teach is said before scans are read.
    teacher = teacher_named(config.teacher, recipe.preprocessing) if is_taught else None
    chosen = cases_of_split(cases, "train")
    unlabeled = [case.name for case in chosen if case.labels is None]
    if config.objective.has_overlap and unlabeled:
        raise InputError(
            "an overlap term needs labels of every training case; these have none: "
            f"{', '.join(unlabeled)}"
        )
    val = [case for case in cases if case.split == "val"]
    everything = slice(None)
    own = slice(fabric.global_rank, None, fabric.world_size)
    # Of several processes each first makes its own; then all is there.
    for part in (own, everything) if fabric.world_size > 1 else (everything,):
        plain = store_samples(chosen[part], recipe.preprocessing, cache)
        masked = (
            store_samples(chosen[part], recipe.preprocessing, cache, is_masked=True)
            if config.masked_share > 0
            else None
        )
        validation = store_samples(val[part], recipe.preprocessing, cache)
        fabric.barrier()
    targets = None
    if teacher is not None:
        pairs = target_pairs(len(plain), config.target_pairs, config.seed)
        targets = TargetFlows(plain, pairs, teacher, cache / "targets")
        _make(targets, fabric)
    return TrainingData(PairSampler(plain, masked, targets, config), validation)


def _make(targets: TargetFlows, fabric: "Fabric") -> None:
    """Have all processes together make the target flows."""
    count, name = len(targets.pairs), targets.teacher.name
    for number in range(fabric.global_rank, count, fabric.world_size):
        logger.info("target flow %d of %d, by %s", number + 1, count, name)
        targets.flow(number)
    fabric.barrier()


def recipe_facts(cases: Sequence[Case], recipe: Recipe) -> dict[str, Any]:
    """All that decides the run's result, as JSON types."""
    facts = {
        "voltween": version("voltween"),
        "torch": torch.__version__,
        "train_cases": [case.name for case in cases if case.split == "train"],
        "val_cases": [case.name for case in cases if case.split == "val"],
        "preprocessing": asdict(recipe.preprocessing),
        **config_facts(recipe.network),
        "training": asdict(recipe.training),
    }
    return json.loads(json.dumps(facts))
