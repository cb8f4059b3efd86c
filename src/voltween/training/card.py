"""Cards of trained models, and the place of such models among the user's own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from voltween.errors import InputError
from voltween.models import Model, load_model, path_for_own_model, save_model
from voltween.storage import check_is_no_input, output_folder, read_json, whole_file
from voltween.training.fingerprint import along_axes
from voltween.training.outcome import Outcome, read_outcome
from voltween.training.run_folder import RECIPE, without_names
from voltween.training.validation import StageValidation

CARD = "card.md"
_NOT_STATED = "Not stated."


@dataclass(frozen=True)
class CardWords:
    """Facts about a model that only the people who trained it know."""

    purpose: str = ""
    """Scans that the model is for, such as "T2 MR of mouse brains"."""
    data: str = ""
    """Source of the training scans."""
    license: str = ""
    """License of data and model."""
    limits: str = ""
    """Uses for which the model is not fit."""


def write_card(run: Path, words: CardWords) -> Path:
    """Writes card.md into the folder of a run, and returns its path.

    Raises:
        InputError: If the folder has no model, or a file is damaged.
        OutputError: If the card cannot be written.
    """
    path = run / CARD
    check_is_no_input(path)
    return _write(path, _card(run.resolve().name, run, words))


def check_own_name(name: str, *, overwrite: bool = False) -> Path:
    """Checks that the user's models may get one of this name; returns its path.

    Raises:
        InputError: If the name is no good, or there is a model of this name that may
            not be replaced.
    """
    path = path_for_own_model(name)
    check_is_no_input(path)
    if path.exists() and not overwrite:
        raise InputError(
            about=path,
            expected="no model of this name",
            got="one",
            advice="give --overwrite or another name",
        )
    return path


def keep_as_own_model(
    run: Path, name: str, words: CardWords, *, overwrite: bool = False
) -> Path:
    """Puts the model of a run and its card into the folder of the user's models.

    Args:
        run: Folder of the run.
        name: Name by which the model is found from now on.
        words: What the card says; it becomes part of the model file.
        overwrite: Whether a model of this name may be replaced.

    Returns:
        The path of the model.

    Raises:
        InputError: If the run has no model, the name is no good, or there is a model of
            this name that may not be replaced.
        OutputError: If the files cannot be written.
    """
    path = check_own_name(name, overwrite=overwrite)
    outcome = read_outcome(run)
    model = load_model(outcome.model)
    facts = {
        "purpose": words.purpose,
        "data": words.data,
        "licence": words.license,
        "measured": " ".join(outcome.sentences[1:]),
    }
    # A run of an earlier version has the names of its cases in the model.
    provenance = without_names(model.provenance)
    provenance |= {key: text for key, text in facts.items() if text}
    output_folder(path.parent)
    save_model(replace(model, name=name, provenance=provenance), path)
    _write(path.with_suffix(".md"), _card(name, run, words))
    return path


def _card(name: str, run: Path, words: CardWords) -> str:
    """The card as Markdown."""
    outcome = read_outcome(run)
    model = load_model(outcome.model)
    parts = [
        f"# {name}",
        f"For {words.purpose}." if words.purpose else f"Purpose: {_NOT_STATED.lower()}",
        "## Data",
        *_data(model, words),
        "## Network",
        _network(model),
        "## Recipe",
        *_recipe(model, outcome, run),
        "## Measured",
        *_measured(outcome),
        "## Limits",
        f"{words.limits or _NOT_STATED} Not a medical device.",
    ]
    return "\n\n".join(parts) + "\n"


def _data(model: Model, words: CardWords) -> Iterator[str]:
    facts = without_names(model.provenance)
    yield (
        f"{words.data or _NOT_STATED} {facts['train_scans']} scans for training, "
        f"{facts['val_scans']} to choose the best step. "
        f"License: {words.license or _NOT_STATED}"
    )
    if model.fingerprint is not None:
        yield f"The training scans: {model.fingerprint}."
    for key in ("train_cases", "val_cases"):
        if key in facts:
            yield f"{key}: {', '.join(facts[key])}"


def _network(model: Model) -> str:
    rules = model.preprocessing
    shape = " x ".join(map(str, rules.shape))
    window = rules.hounsfield_window
    low, high = window or rules.intensity_percentiles
    kind = "Hounsfield units" if window else "percentiles of the foreground"
    return (
        f"{model.network.config.title}, {shape} voxels of "
        f'{along_axes(rules.spacing_mm)} mm, placed by the rule "{rules.placement}". '
        f"Intensities: {low:g} to {high:g} ({kind}) become 0 to 1."
    )


def _recipe(model: Model, outcome: Outcome, run: Path) -> Iterator[str]:
    training = model.provenance["training"]
    start = training["start_from"] or ""
    name = start.rpartition(", ")[0] or start  # before the digest, which files have
    origin = f"Fine-tuned from {name}." if name else "Trained from nothing."
    yield (
        f"{origin} Adam at {training['learning_rate']:g}, "
        f"{training['pairs_per_step']} pairs per step; the model is that of step "
        f"{outcome.best_step} of {outcome.last_step}. All settings are in the model "
        f"file."
    )
    if remarks := _remarks(run):
        yield "\n".join(f"- {remark}" for remark in remarks)


def _remarks(run: Path) -> Sequence[str]:
    """The adapted or overridden settings of a run; none in runs of earlier versions."""
    remarks = read_json(run / RECIPE, "the recipe of a training").get("remarks")
    return [str(remark) for remark in remarks] if isinstance(remarks, list) else []


def _measured(outcome: Outcome) -> Iterator[str]:
    if outcome.stages:
        yield "\n".join(_table(outcome.stages))
    yield " ".join(outcome.sentences[1:])
    yield (
        "The `val` cases chose the step, so that these figures flatter the model: "
        "`voltween evaluate` measures it on cases that it has never seen."
    )


def _table(stages: Sequence[StageValidation]) -> Iterator[str]:
    yield "| stage | Dice | correlation | folding % |"
    yield "|---|---|---|---|"
    for row in stages:
        dice = "-" if row.dice is None else f"{row.dice:.3f}"
        yield (
            f"| {row.stage} | {dice} | {row.correlation:.3f} "
            f"| {row.folding_percent:.3f} |"
        )


def _write(path: Path, text: str) -> Path:
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path
