"""No command writes over what it reads: one door per command and kind of input."""

import shutil

import numpy as np
import pytest

from support.cohorts import write_cohort
from support.commands import write_pair
from support.downloads import folder as write_own_scans
from support.rcn import rcn_variables
from support.scans import FIXED, MOVING, TO_MOVING
from voltween import io
from voltween.batches import RegistrationOptions
from voltween.cli import main
from voltween.cli.invocation import named_paths, paths_to_keep
from voltween.cli.register import Register
from voltween.spatial import Points


def register(folder, fixed="fixed.nii.gz", moving="moving.nrrd"):
    model = ["--model", folder / "tiny.safetensors"]
    return ["register", folder / fixed, folder / moving, *model]


def register_moved(folder):
    write_pair(folder)
    io.write(MOVING, folder / "moved.nii.gz")
    (folder / "registration.json").write_text("{}")  # of the run that made it
    return register(folder, moving="moved.nii.gz"), folder, "moved.nii.gz"


def register_what_would_only_be_deleted(folder):
    write_pair(folder)
    shutil.copy(folder / "fixed_labels.nii.gz", folder / "moved_labels.nii.gz")
    (folder / "registration.json").write_text("{}")
    mask = ["--refine", "2", "--fixed-mask", folder / "moved_labels.nii.gz"]
    return [*register(folder), *mask], folder, "moved_labels.nii.gz"


def register_a_link(folder):
    write_pair(folder)
    (folder / "out").mkdir()
    io.write(FIXED, folder / "out" / "moved.nii.gz")
    (folder / "link.nii.gz").symlink_to(folder / "out" / "moved.nii.gz")
    return register(folder, "link.nii.gz"), folder / "out", "out/moved.nii.gz"


def apply(folder, name):
    write_pair(folder)
    io.write(TO_MOVING, folder / "t.tfm")
    io.write(Points(FIXED.grid.center_mm[None]), folder / "points.csv")
    words = ["apply", folder / "t.tfm", folder / name]
    return (
        words if name == "points.csv" else [*words, "--onto", folder / "fixed.nii.gz"]
    )


def apply_onto(folder):
    return apply(folder, "moving.nrrd"), folder / "fixed.nii.gz", "fixed.nii.gz"


def apply_to_image(folder):
    return apply(folder, "moving.nrrd"), folder / "moving.nrrd", "moving.nrrd"


def apply_to_points(folder):
    return apply(folder, "points.csv"), folder / "points.csv", "points.csv"


def align_manifest(folder):
    return ["align", write_cohort(folder)], folder, "cases.csv"


def align_scan(folder):
    manifest = write_cohort(folder)
    text = manifest.read_text("utf-8").replace("image1.nii.gz", "out/case1.nii.gz")
    manifest.write_text(text)
    (folder / "out").mkdir()
    shutil.move(folder / "image1.nii.gz", folder / "out" / "case1.nii.gz")
    return ["align", manifest], folder / "out", "out/case1.nii.gz"


def prepare_in_place(folder):
    write_own_scans(folder / "in")
    words = ["prepare", "folder", folder / "in", "--region", "none", "--exposure", "mr"]
    return words, folder / "in", "in/images/anna.nii.gz"


def prepare_points(folder):
    truth = write_own_scans(folder / "in")
    (folder / "out" / "points").mkdir(parents=True)
    points = Points(truth["anna"][0].grid.center_mm[None])
    io.write(points, folder / "out" / "points" / "anna.csv")
    words = ["prepare", "folder", folder / "in", "--region", "none", "--exposure", "mr"]
    words += ["--points", folder / "out" / "points"]
    return words, folder / "out", "out/points/anna.csv"


def split(folder):
    manifest = write_cohort(folder)
    return ["split", manifest], manifest, "cases.csv"


def join(folder):
    manifests = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        manifests.append(write_cohort(folder / name))
    return ["join", *manifests], folder / "two", "two/cases.csv"


def plan(folder):
    manifest = write_cohort(folder).rename(folder / "plan.toml")
    return ["plan", manifest, "--overwrite"], manifest, "plan.toml"


def synthesize(folder):
    manifest = write_cohort(folder)
    (folder / "pair001").mkdir()
    shutil.move(folder / "labels1.nii.gz", folder / "pair001" / "moving_labels.nii.gz")
    text = manifest.read_text("utf-8")
    text = text.replace("labels1.nii.gz", "pair001/moving_labels.nii.gz")
    manifest.write_text(text)
    return ["synthesize", manifest], folder, "pair001/moving_labels.nii.gz"


def train(folder):
    write_pair(folder)
    shutil.move(folder / "tiny.safetensors", folder / "best.safetensors")
    words = ["train", write_cohort(folder), "--shape", "16", "16", "16"]
    words += ["--start-from", folder / "best.safetensors"]
    return words, folder, "best.safetensors"


def evaluate(folder, command="evaluate"):
    write_pair(folder)
    manifest = write_cohort(folder)
    (folder / "pairs.csv").write_text("fixed,moving\ncase4,case5\n")
    pairs = ["--pairs", "list", "--pair-list", folder / "pairs.csv"]
    method = ["--model", folder / "tiny.safetensors"]
    if command == "compare":
        method = ["--methods", "identity"]
    return [command, manifest, *method, *pairs], folder, "pairs.csv"


def compare(folder):
    return evaluate(folder, "compare")


def template(folder):
    manifest = write_cohort(folder)
    (folder / "out").mkdir()
    shutil.copy(folder / "image0.nii.gz", folder / "out" / "template.nii.gz")
    words = ["template", manifest, "--start", folder / "out" / "template.nii.gz"]
    return words, folder / "out", "out/template.nii.gz"


def segment(folder):
    manifest = write_cohort(folder)
    words = ["segment", folder / "image0.nii.gz", "--atlases", manifest]
    return words, folder / "labels1.nii.gz", "labels1.nii.gz"


def figures(folder):
    write_pair(folder)
    (folder / "figure.png").symlink_to(folder / "moving.nrrd")
    words = ["figures", "tweening", *register(folder)[1:]]
    return words, folder / "figure.png", "moving.nrrd"


def import_rcn(folder):
    variables = rcn_variables((64,) * 3, channels=1)
    np.savez(folder / "weights.npz", **variables)
    (folder / "rcn.safetensors").symlink_to(folder / "weights.npz")
    words = ["import-rcn", folder / "weights.npz"]
    return words, folder / "rcn.safetensors", "weights.npz"


DOORS = [
    *(register_moved, register_what_would_only_be_deleted, register_a_link),
    *(apply_onto, apply_to_image, apply_to_points, align_manifest, align_scan),
    *(prepare_in_place, prepare_points, split, join, plan, train, evaluate, compare),
    *(template, segment, synthesize, figures, import_rcn),
]


@pytest.mark.filterwarnings("ignore:the joined manifest")  # two copies of one
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_an_input_is_not_written_over(door, tmp_path, capsys):
    words, out, name = door(tmp_path)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(SystemExit) as caught:
        main(list(map(str, [*words, "--out", out])))
    # A case that cannot be prepared is one of many that failed.
    assert caught.value.code == (1 if door in (prepare_in_place, prepare_points) else 2)
    error = capsys.readouterr().err
    assert "expected an output that is not an input as well" in error
    assert "the same file as the input" in error
    assert (tmp_path / name).read_bytes() == before
    assert not out.is_dir() or not list(out.glob(".*"))


def test_inputs_are_found_in_every_kind_of_option(tmp_path):
    write_pair(tmp_path)
    scan, labels = tmp_path / "fixed.nii.gz", tmp_path / "fixed_labels.nii.gz"
    model = tmp_path / "tiny.safetensors"
    options = RegistrationOptions(model=f"model:{model}")
    command = Register(scan, scan, tmp_path / "out", registration=options)
    assert named_paths(command) == {"fixed": [scan], "moving": [scan]}
    assert paths_to_keep(command) == [scan, scan, model]
    within = Register(tmp_path, labels, tmp_path / "out")  # a folder it writes in
    assert named_paths(within) == {"fixed": [tmp_path], "moving": [labels]}
    assert paths_to_keep(within) == [labels]
