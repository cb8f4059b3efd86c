"""A command whose options are refused leaves nothing: no folder, no file."""

import json

import numpy as np
import pytest

from support.cohorts import write_cohort
from support.commands import run_here, write_pair
from support.downloads import folder as write_own_scans
from support.phantoms import phantom
from voltween import io
from voltween.cli import bids_main
from voltween.spatial import Affine, Points

CONTRADICTIONS = {
    "jobs without --slurm": ("--jobs", 2),
    "two places": ("--slurm", "mem=1G", "--scheduler", "tcp://127.0.0.1:1"),
    "no resources": ("--slurm", "nonsense"),
    "no threads": ("--threads", 0),
    "memory of jobs": ("--slurm", "mem=1G", "--worker-memory-gb", 1),
}
UNBENT = ("--transform", "rigid")
REFINEMENTS = {
    "features of a rigid transform": (*UNBENT, "--similarity", "features"),
    "smoothness of a rigid transform": (*UNBENT, "--regularity", 2),
    "both directions of a rigid transform": (*UNBENT, "--symmetric"),
    "a weight beside no features": ("--image-weight", 1),
    "no refinement with a similarity": ("--refine", "none", "--similarity", "MIND-SSC"),
    "too few steps": ("--refine", 1),
    "a negative weight": ("--channel-weights", -1),
    "neither model nor refinement": ("--model", "none", "--refine", "none"),
    "an unknown model": ("--model", "nobody"),
}


def with_cohort(name, *more):
    def command(at):
        return [name, write_cohort(at, train=2, val=2), *more]

    command.__name__ = name
    return command


def register(at):
    write_pair(at)
    return ["register", at / "fixed.nii.gz", at / "moving.nrrd"]


def segment(at):
    words = ["segment", at / "image0.nii.gz", "--atlases", write_cohort(at)]
    return [*words, "--registrations", at / "new" / "kept"]


def prepare(at):
    write_own_scans(at / "in")
    options = ["--region", "none", "--exposure", "mr"]
    return ["prepare", "folder", at / "in", *options]


def apply(at):
    write_pair(at)
    io.write(Affine.identity(), at / "t.h5")
    files = [at / "fixed.nii.gz", at / "moving.nrrd"]
    return ["apply", "--transform", at / "t.h5", "--", *files]


def apply_with(name, text=None):
    """Applies a transform to whole files, and to one last that is none."""

    def command(at):
        words = apply(at)
        io.write(Points(np.zeros((1, 3))), at / "points.csv")
        if text is not None:
            (at / name).write_text(text)
        return [*words, at / "points.csv", at / name]

    command.__name__ = f"apply with {name}"
    return command


def bids_app(at):
    anat = at / "raw" / "sub-01" / "anat"
    anat.mkdir(parents=True)
    io.write(phantom()[0], anat / "sub-01_T1w.nii.gz")
    facts = {"Name": "phantoms", "BIDSVersion": "1.10.0"}
    (at / "raw" / "dataset_description.json").write_text(json.dumps(facts))
    return ["bids", at / "raw", at / "new" / "out", "participant"]


cohort, template = with_cohort("cohort"), with_cohort("template")
align, evaluate = with_cohort("align"), with_cohort("evaluate", "--model", "brain")
compare = with_cohort("compare", "--methods", "identity")
experiment, synthesize = with_cohort("experiment", "table_4"), with_cohort("synthesize")
train = with_cohort("train")

COHORT, TEMPLATE = {cohort: ("--all-pairs",)}, {template: ()}
REGISTERING = {**COHORT, **TEMPLATE, segment: (), bids_app: ("--longitudinal",)}
RUNNING = {**REGISTERING, **dict.fromkeys((align, evaluate, compare, prepare), ())}
OF_OPTIONS = [
    *(
        (command, (*own, *CONTRADICTIONS["jobs without --slurm"]))
        for command, own in RUNNING.items()
    ),
    *((experiment, more) for more in CONTRADICTIONS.values()),
    *((template, more) for more in CONTRADICTIONS.values()),
    *(
        (command, (*own, *more))
        for command, own in {**REGISTERING, register: ()}.items()
        for more in REFINEMENTS.values()
    ),
]
DEVICES = {
    **COHORT,
    register: (),
    bids_app: ("--longitudinal",),
    evaluate: (),
    compare: (),
}
OWN = [
    *((command, (*own, "--device", "abacus")) for command, own in DEVICES.items()),
    (template, ("--start", "START", "--rounds", 0)),
    (template, ("--start", "nothing.nii.gz")),
    (template, ("--split", "test")),
    (template, ("--guide-by-labels",)),
    (segment, ("--guide-by-labels",)),
    (segment, ("--split", "test")),
    (cohort, ("--all-pairs", "--longitudinal")),
    (cohort, ("--all-pairs", "--part", "3/2", "--slurm", "mem=1G")),
    (cohort, ("--all-pairs", "--bids")),
    (cohort, ("--all-pairs", "--outputs", "everything")),
    (cohort, ("--fixed", "nothing.nii.gz")),
    (bids_app, ()),
    (bids_app, ("--longitudinal", "--participant-label", "7")),
    (register, ("--outputs", "everything")),
    (register, ("--guide-by-labels",)),
    (register, ("--fixed-points", "nothing.csv")),
    (register, ("--volume", 1)),
    (align, ("--atlas", "nobody")),
    (align, ("--slurm", "cpus=2")),
    (evaluate, ("--selection.atlas", "case1")),
    (evaluate, ("--pairs", "list")),
    (compare, ("--pairs", "list")),
    (compare, ("--methods", "aligned:identity")),
    (compare, ("--voxelmorph-steps", 0, "--methods", "voxelmorph")),
    (compare, ("--slurm", "cpus=2")),
    (experiment, ("--max-pairs", -1)),
    (experiment, ("--slurm", "cpus=2")),
    (prepare, ("--only", "nothing.txt")),
    (prepare, ("--val-share", 2)),
    (prepare, ("--slurm", "cpus=2")),
    (train, ("--shape", 15, 16, 16)),
    (train, ("--steps", 0)),
    (train, ("--fine-tune", "brain", "--network", "voxelmorph-2")),
    (synthesize, ("--pairs", 0)),
    (synthesize, ("--seed", -1)),
    (apply, ()),
    (apply, ("--spacing-mm", 1, 2)),
    (apply, ("--onto", "nothing.nii.gz")),
    (apply, ("--onto", "START", "--labels", "--interpolation", "linear")),
    (apply, ("--onto", "START", "--labels", "--turn-vectors")),
    (apply_with("damaged.nii.gz", "no scan"), ("--onto", "START")),
    (apply_with("damaged.csv", "a,b"), ("--onto", "START")),
    (apply_with("missing.nii.gz"), ("--onto", "START")),
    (apply_with("missing.stl"), ("--onto", "START")),
]


def words_of(value):
    return value.__name__ if callable(value) else " ".join(map(str, value))


@pytest.mark.parametrize(("command", "more"), [*OF_OPTIONS, *OWN], ids=words_of)
@pytest.mark.filterwarnings("ignore")
def test_nothing_is_left(command, more, tmp_path, monkeypatch, capsys):
    program, *words = command(tmp_path)
    if "START" in more:
        io.write(phantom()[0], tmp_path / "START.nii.gz")
        more = [f"{word}.nii.gz" if word == "START" else word for word in more]
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    if program == "bids":
        code = run_app(*words, *more)
    else:
        name = "labels.nii.gz" if program == "segment" else "out"
        inputs = words.index("--") if "--" in words else len(words)
        out = ("--out", tmp_path / "new" / name)
        code = run_here(program, *words[:inputs], *more, *out, *words[inputs:])
    assert code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def run_app(*words):
    with pytest.raises(SystemExit) as end:
        bids_main(list(map(str, words)))
    return end.value.code
