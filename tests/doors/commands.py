"""The commands of the doors, ready to run on the files of a folder."""

from dataclasses import fields, is_dataclass, replace
from pathlib import Path

from voltween.cli import invocation
from voltween.storage import reading


def run(command):
    """Runs a command as `voltween` does, after its options have been read."""
    with reading(invocation.paths_to_keep(command)):
        command.run()


def with_option(command, name, file):
    """The command with a file as an option, such as `refinement.fixed_mask`."""
    first, _, rest = name.partition(".")
    value = getattr(command, first)
    if rest:
        return replace(command, **{first: with_option(value, rest, file)})
    if isinstance(value, tuple):
        return replace(command, **{first: (*value[1:], file)})
    kind = next(f.type for f in fields(command) if f.name == first)
    return replace(command, **{first: file if "Path" in str(kind) else str(file)})


def file_options(kind, prefix=""):
    """The names of all options of a command that are paths."""
    for field in fields(kind):
        name = f"{prefix}{field.name}"
        if is_dataclass(field.type):
            yield from file_options(field.type, f"{name}.")
        elif "Path" in str(field.type):
            yield name


def register(at: Path):
    """Registers the pair of the folder."""
    from voltween.batches import Companions, RegistrationOptions
    from voltween.cli.register import Register

    files = {"fixed": at / "fixed.nii.gz", "moving": at / "moving.nrrd"}
    labels = {f"{n}_labels": at / f"{n}_labels.nii.gz" for n in files}
    return Register(
        **files,
        out=at / "out",
        companions=Companions(**labels),
        registration=RegistrationOptions(model=str(at / "tiny.safetensors")),
    )


def cohort(at):
    """Registers a cohort to one of its cases."""
    from voltween.batches import RefinementOptions, RegistrationOptions
    from voltween.cli.cohort import Cohort

    options = RegistrationOptions(
        model=str(at / "tiny.safetensors"), refinement=RefinementOptions("none")
    )
    fixed = Path("case0")
    return Cohort(at / "cases.csv", at / "out", fixed=fixed, registration=options)


def bids_app(at):
    """Registers a BIDS data set of one scan to a template with labels."""
    import shutil

    from voltween.batches import RefinementOptions, RegistrationOptions
    from voltween.cli.bids_app import BidsApp

    anat = at / "bids" / "sub-01" / "anat"
    anat.mkdir(parents=True, exist_ok=True)
    shutil.copy(at / "fixed.nii.gz", anat / "sub-01_T1w.nii.gz")
    options = RegistrationOptions(
        model=str(at / "tiny.safetensors"), refinement=RefinementOptions("none")
    )
    return BidsApp(
        at / "bids",
        at / "out",
        "participant",
        template=at / "moving.nrrd",
        template_labels=at / "moving_labels.nii.gz",
        skip_bids_validation=True,
        registration=options,
    )


def template(at):
    """Makes a template of a cohort, from a start."""
    from voltween.batches import RefinementOptions
    from voltween.cli.template import Template
    from voltween.templates import TemplateOptions

    model, refinement = str(at / "tiny.safetensors"), RefinementOptions("none")
    options = TemplateOptions(rounds=1, model=model, refinement=refinement)
    start = at / "fixed.nii.gz"
    return Template(at / "cases.csv", at / "out", start=start, options=options)


def segment(at):
    """Labels a scan by the cases of a cohort."""
    from voltween.batches import RefinementOptions
    from voltween.cli.segment import Segment
    from voltween.fusion import SegmentationOptions

    model, refinement = str(at / "tiny.safetensors"), RefinementOptions("none")
    options = SegmentationOptions(model=model, refinement=refinement)
    scan, out = at / "fixed.nii.gz", at / "out.nii.gz"
    return Segment(scan, at / "cases.csv", out, options=options)


def apply_to_image(at):
    """Resamples an image."""
    from voltween.cli.apply import Apply

    onto = at / "fixed.nii.gz"
    transform = (at / "transform.h5",)
    return Apply((at / "moving.nrrd",), at / "out.nii.gz", transform, onto)


def apply_to_labels(at):
    """Resamples a label map."""
    labels = at / "moving_labels.nii.gz"
    return replace(apply_to_image(at), input=(labels,), labels=True)


def apply_to_points(at):
    """Maps points."""
    points = at / "points.mrk.json"
    return replace(apply_to_image(at), input=(points,), out=at / "out.csv", onto=None)


def convert(at):
    """Writes a transform for Learn2Reg."""
    from voltween.cli.convert import Convert

    scans = at / "fixed.nii.gz", at / "moving.nrrd"
    return Convert(at / "transform.h5", "learn2reg", *scans, at / "out.nii.gz")


def jacobian(at):
    """Writes a map of volume change."""
    from voltween.cli.jacobian import Jacobian

    return Jacobian(at / "transform.h5", at / "fixed.nii.gz", at / "out.nii.gz")


def align(at):
    """Aligns a cohort."""
    from voltween.cli.align import Align

    return Align(at / "cases.csv", at / "out")


def prepare(at):
    """Prepares the scans of a folder."""
    from voltween.cli.prepare import Prepare
    from voltween.cohorts import PreparationOptions

    options = PreparationOptions(region="none", exposure="mr")
    return Prepare("folder", at / "in", at / "out", options)


def prepare_ct(at):
    """Prepares CT, which has a reference."""
    command = prepare(at)
    return replace(command, options=replace(command.options, exposure="ct"))


def split(at):
    """Divides a cohort."""
    from voltween.cli.split import Split

    return Split(at / "cases.csv", at / "out.csv")


def join(at):
    """Joins two manifests."""
    from voltween.cli.join import Join

    return Join((at / "cases.csv", at / "cases.csv"), at / "out")


def plan(at):
    """Plans a training."""
    from voltween.cli.plan import Plan

    return Plan(at / "cases.csv", at / "out.toml", overwrite=True)


def train(at):
    """Trains on a cohort for a step."""
    from voltween.cli.train import command_for
    from voltween.training import TrainingOptions

    command = command_for([])(source=at / "cases.csv", out=at / "out")
    options = TrainingOptions(shape=(16, 16, 16), channels=4)
    training = replace(command.training, steps=1)
    return replace(command, options=options, training=training)


def train_by_plan(at):
    """Trains as a plan says."""
    from voltween.cli.train import command_for

    return command_for([])(source=at / "plan.toml", out=at / "out")


def evaluate(at):
    """Evaluates a model."""
    from voltween.cli.evaluate import Evaluate
    from voltween.evaluation import PairSelection

    pairs = PairSelection(pairs="list", pair_list=at / "pairs.csv")
    model = str(at / "tiny.safetensors")
    return Evaluate(at / "cases.csv", at / "out", model, selection=pairs)


def compare(at):
    """Compares the identity with itself."""
    from voltween.cli.compare import Compare
    from voltween.evaluation import PairSelection

    pairs = PairSelection(pairs="list", pair_list=at / "pairs.csv")
    return Compare(at / "cases.csv", "identity", at / "out", selection=pairs)


def experiment(at):
    """Runs a table."""
    from voltween.cli.experiment import Experiment

    return Experiment(at / "table.toml", at / "cases.csv", at / "out")


def tweening(at):
    """Draws a registration."""
    from voltween.cli.figures import Figures, Tweening

    command = register(at)
    labels = {
        n: getattr(command.companions, n) for n in ("fixed_labels", "moving_labels")
    }
    return Figures(
        Tweening(
            fixed=command.fixed,
            moving=command.moving,
            model=command.registration.model,
            out=at / "out.png",
            **labels,
        )
    )


def sections(at):
    """Draws sections of a comparison."""
    from voltween.cli.figures import Figures, Sections

    return Figures(Sections(at / "comparison", at / "cases.csv", at / "out.png"))


def import_rcn(at):
    """Imports a checkpoint."""
    from voltween.cli.import_rcn import ImportRcn

    return ImportRcn(at / "weights.npz", at / "out.safetensors")
