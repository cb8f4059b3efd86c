"""voltween register with all that a refinement takes, as a user types it."""

import json

import numpy as np
import pytest

from support.known_pair import known_pair, scene_points_mm
from support.scans import label_blocks, tiny_model
from voltween import io
from voltween.cli import main
from voltween.models import save_model
from voltween.spatial import Grid, Image, LabelMap, Points, align_centers

pytestmark = pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")

FIXED, MOVING = known_pair()
TO_MOVING = align_centers(FIXED.grid, MOVING.grid)
FIXED_POINTS = Points(scene_points_mm()[:4], ("a", "b", "c", "d"))
FAR = Grid(FIXED.grid.shape, FIXED.grid.pad(400).affine)


def volumes():
    """Returns the content of the folder by the names of the files."""
    whole = LabelMap(np.ones(FIXED.grid.shape, np.uint8), FIXED.grid)
    moving_points = TO_MOVING.map_points(FIXED_POINTS)
    return {
        "fixed.nii.gz": FIXED,
        "moving.nrrd": MOVING,
        "fixed_labels.nii.gz": label_blocks(FIXED.grid),
        "moving_labels.nii.gz": label_blocks(MOVING.grid),
        "mask.nii.gz": whole,
        "far_mask.nii.gz": LabelMap(whole.data, FAR),
        "flat.nii.gz": Image(np.full(FIXED.grid.shape, 7), FIXED.grid),
        "fixed.csv": FIXED_POINTS,
        "moving.csv": Points(moving_points.mm[::-1] + 1, FIXED_POINTS.names[::-1]),
        "three.csv": Points(moving_points.mm[:3]),
    }


@pytest.fixture(scope="module", name="folder")
def folder_fixture(tmp_path_factory):
    """Scans and what is known of them; no test writes here."""
    folder = tmp_path_factory.mktemp("pair")
    for name, volume in volumes().items():
        io.write(volume, folder / name)
    save_model(tiny_model(strength=0.0), folder / "tiny.safetensors")
    return folder


def register(folder, out, words, model="tiny.safetensors"):
    """The command, with files of the folder by their names; what it says in figures."""
    there = {file.name for file in folder.iterdir()}
    named = [str(folder / word) if word in there else word for word in words.split()]
    pair = [str(folder / "fixed.nii.gz"), str(folder / "moving.nrrd")]
    given = str(folder / model) if model in there else model
    main(["register", *pair, "--model", given, "--out", str(out), *named])
    return json.loads((out / "registration.json").read_text("utf-8"))


@pytest.mark.parametrize(
    "words",
    [
        "--refine fast",
        "--seconds 30",
        "--refine 12",
        "--refine 6 --voxels own --diffeomorphic",
        "--refine 6 --voxels 2.0 --symmetric",
        "--refine 6 --fixed-mask mask.nii.gz --moving-mask moving_labels.nii.gz",
        "--refine 6 --fixed-channels fixed.nii.gz fixed.nii.gz "
        "--moving-channels moving.nrrd moving.nrrd --channel-weights 1 0.5 2",
    ],
)
def test_a_refinement_is_asked_for_in_many_ways(words, folder, tmp_path):
    figures = register(folder, tmp_path / "out", words)
    assert figures["model"] == "tiny"
    assert figures["correlation"]["after"] > figures["correlation"]["before"] + 0.05
    assert figures["seconds"]["wall"]["refinement"] > 0.01
    assert figures["refinement"]["similarity"] == "local correlation"
    assert figures["refinement"]["levels"]
    transform = io.read_transform(tmp_path / "out" / "fixed_to_moving.h5")
    moved = transform.resample(MOVING, onto=FIXED.grid).data
    written = io.read(tmp_path / "out" / "moved.nii.gz").data
    np.testing.assert_allclose(written, moved, atol=0.5)


@pytest.mark.filterwarnings("ignore::voltween.errors.RejectionWarning")
@pytest.mark.parametrize("symmetric", ["", " --symmetric --similarity MIND-SSC"])
def test_none_seeks_the_transform_without_a_model(symmetric, folder, tmp_path, capsys):
    words = f"--refine 8{symmetric} --fixed-labels fixed_labels.nii.gz"
    words += " --moving-labels moving_labels.nii.gz"
    figures = register(folder, tmp_path / "out", words, "none")
    assert figures["model"] == "none"
    assert list(figures["dice"])[:2] == ["before", "affine"]
    assert (tmp_path / "out" / "moved_labels.nii.gz").exists()
    assert "Model: " not in capsys.readouterr().out  # it was given


def test_steps_are_as_many_as_asked_for(folder, tmp_path, monkeypatch):
    told = []

    class Progress:
        def __init__(self, absent):
            pass

        def __enter__(self):
            return told.append

        def __exit__(self, *_):
            pass

    monkeypatch.setattr("voltween.cli.register.registration_bar", Progress)
    register(folder, tmp_path / "out", "--refine 5")
    # Where the network is of no use, two levels on wide voxels come first.
    dense = [step for step in told if step.part == "dense"]
    first = max(step.levels for step in dense) - 3
    assert sum(step.level > first for step in dense) == 5


def test_landmarks_of_the_same_name_are_laid_on_one_another(folder, tmp_path):
    """In the second file they are in another order."""
    words = "--refine accurate --fixed-points fixed.csv --moving-points moving.csv"
    register(folder, tmp_path / "out", words)
    transform = io.read_transform(tmp_path / "out" / "fixed_to_moving.h5")
    goal_mm = TO_MOVING.map_points(FIXED_POINTS).mm + 1
    apart_mm = transform.map_points(FIXED_POINTS).mm - goal_mm
    assert np.linalg.norm(apart_mm, axis=1).mean() < 0.6 * np.sqrt(3)


def test_structures_guide_where_it_is_said(folder, tmp_path):
    words = "--refine fast --fixed-labels fixed_labels.nii.gz"
    words += " --moving-labels moving_labels.nii.gz"
    dice = [
        register(folder, tmp_path / name, words + more)["mean_dice"]["refined"]
        for name, more in (("plain", ""), ("guided", " --guide-by-labels"))
    ]
    assert dice[1] > dice[0] + 0.02


def test_no_folding_leaves_none(folder, tmp_path):
    save_model(tiny_model(strength=1.5), tmp_path / "rough.safetensors")
    rough = str(tmp_path / "rough.safetensors")
    figures = register(folder, tmp_path / "out", "--no-folding", rough)
    assert figures["folding_percent"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--refine 2 --model none", "expected at least 4 steps, one per level, got 2"),
        ("--refine 2", "expected at least 3 steps, one per level, got 2"),
        ("--refine -3", "expected at least 3 steps, one per level, got -3"),
        ("--regularity -1", "--regularity: expected at least 0, got -1.0"),
        (
            "--regularity 2 --transform rigid",
            "--regularity: expected a deformable transform",
        ),
        (
            "--similarity features --transform affine",
            "--similarity: expected a deformable transform, whose displacements alone",
        ),
        (
            "--symmetric --transform similarity",
            "--symmetric: expected a deformable transform",
        ),
        ("--regularity inf", "--regularity: expected at most 10000, got inf"),
        ("--seconds 0", "seconds: expected a finite number > 0"),
        ("--seconds nan", "--seconds: expected a finite number, got nan"),
        ("--voxels -1", "spacing_mm: expected a finite number > 0"),
        ("--voxels 0.001", "give wider voxels"),
        ("--voxels 500", "give narrower voxels"),
        ("--channel-weights 1 0", "channel_weights: expected a finite number > 0"),
        (
            "--image-weight 1",
            "--image-weight: expected --similarity features beside it, got none",
        ),
        (
            "--beside-features MIND-SSC --similarity correlation",
            "--beside-features: expected --similarity features beside it, "
            "got --similarity correlation",
        ),
        (
            "--similarity features --image-weight -1",
            "image_weight: expected",
        ),
        ("--similarity features", "learned features: expected two scans of an organ"),
        ("--channel-weights 1 2", "channel_weights: expected at most 1"),
        ("--fixed-points fixed.csv", "expected points of both scans"),
        ("--moving-points moving.csv", "expected points of both scans"),
        (
            "--fixed-points fixed.csv --moving-points three.csv",
            "got 1 to 3 on one side and others on the other",
        ),
        (
            "--fixed-points nothing.csv --moving-points moving.csv",
            "nothing.csv: expected a file",
        ),
        ("--guide-by-labels", "--guide-by-labels: expected --fixed-labels"),
        (
            "--guide-by-labels --moving-labels moving_labels.nii.gz",
            "--guide-by-labels: expected --fixed-labels",
        ),
        ("--fixed-channels fixed.nii.gz", "expected as many channels"),
        (
            "--fixed-channels flat.nii.gz --moving-channels moving.nrrd",
            "fixed: channel 1: ",
        ),
        ("--fixed-mask nothing.nii.gz", "nothing.nii.gz: expected a file"),
        ("--fixed-mask fixed.nii.gz", "is this an intensity image"),
        (
            "--fixed-mask far_mask.nii.gz",
            "far_mask.nii.gz: expected voxels > 0 on the scan",
        ),
        (
            "--moving-mask far_mask.nii.gz",
            "far_mask.nii.gz: expected voxels > 0 on the scan",
        ),
        ("--model None", "None: expected a shipped model"),
    ],
)
def test_what_cannot_be_ends_in_one_line_and_leaves_nothing(
    words, message, folder, tmp_path, capsys
):
    with pytest.raises(SystemExit) as caught:
        register(folder, tmp_path / "out", words)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("voltween: ")
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    ["--refine quick", "--similarity likeness", "--voxels small", "--refine.refine 3"],
)
def test_what_is_no_option_is_explained(words, folder, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        register(folder, tmp_path / "out", words)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert words.split()[0] in error
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())


def test_help_names_every_option_as_it_is_typed(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as caught:
        main(["register", "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    wanted = (
        "--out PATH",
        "--model TEXT",
        "--refine {fast,accurate,auto,none}|N",
        "--no-folding ",
        "--transform {rigid,similarity,affine,deformable}",
        "--similarity NAME",
        "--voxels {own}|X",
        "--diffeomorphic ",
        "--seconds X",
        "--channel-weights X ...",
        "--fixed-mask PATH",
        "--fixed-channels PATH ...",
        "--guide-by-labels ",
    )
    places = [text.find(option) for option in wanted]
    assert -1 not in places
    assert places == sorted(places)
    assert not any(
        odd in text
        for odd in ("--refinement", "--registration", "{None}", "{{", "--no-no")
    )
