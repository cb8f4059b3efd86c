"""One pair from its files: the command that repeats it, and the model that is kept."""

from pathlib import Path

import pytest

from support.scans import tiny_model
from voltween.batches import (
    Companions,
    PairJob,
    RefinementOptions,
    RegistrationOptions,
)
from voltween.batches.command_words import register_words
from voltween.batches.kept_model import kept_model
from voltween.cli.app import read_command
from voltween.models import save_model

JOBS = {
    "defaults": PairJob(Path("f.nii"), Path("m.nii"), points_guide=True),
    "all": PairJob(
        Path("f.nii"),
        Path("m.nii"),
        Companions(
            initial=(Path("a.tfm"), Path("b.tfm")),
            fixed_labels=Path("fl"),
            moving_labels=Path("ml"),
            fixed_mask=Path("fm"),
            moving_mask=Path("mm"),
            fixed_points=Path("fp"),
            moving_points=Path("mp"),
            fixed_channels=(Path("t2"),),
            moving_channels=(Path("t2m"),),
        ),
        RegistrationOptions(
            model="brain",
            structures=Path("s.csv"),
            outputs="moved,transform",
            jacobian=True,
            no_folding=True,
            precision="bf16",
            refinement=RefinementOptions(
                refine=50,
                similarity="mutual information",
                voxels="own",
                symmetric=True,
                seconds=2.5,
                regularity=4.0,
                guide_by_labels=True,
                channel_weights=(1.0, 0.5),
            ),
        ),
        points_guide=True,
    ),
    "features": PairJob(
        Path("f.nii"),
        Path("m.nii"),
        options=RegistrationOptions(
            refinement=RefinementOptions(
                similarity="features", beside_features="correlation", image_weight=0.5
            )
        ),
        points_guide=True,
    ),
}


@pytest.mark.parametrize("name", JOBS)
def test_the_command_of_a_pair_says_all_of_its_options(name):
    job = JOBS[name]
    program, command, *words = register_words(job, Path("out"))
    assert (program, command) == ("voltween", "register")
    read = read_command(command, words)
    assert (read.fixed, read.moving, read.out) == (job.fixed, job.moving, Path("out"))
    assert read.companions == job.companions
    assert read.registration == job.options


def test_points_that_do_not_guide_are_not_in_the_command():
    files = Companions(fixed_points=Path("fp"), moving_points=Path("mp"))
    words = register_words(PairJob(Path("f"), Path("m"), files), Path("out"))
    assert not [word for word in words if "points" in word]


def test_a_model_is_loaded_once_and_again_when_its_file_has_changed(tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_model(tiny_model(), path)
    first = kept_model(path, precision="fp32")
    assert kept_model(path, precision="fp32") is first
    assert kept_model(path, precision="bf16").precision == "bf16"
    save_model(tiny_model("AD"), path)
    assert kept_model(path, precision="fp32") is not first


@pytest.mark.parametrize(
    ("model", "compared"),
    [("brain", "local correlation"), ("brain-any", "normalized mutual information")],
)
def test_the_model_says_what_the_images_compare(model, compared):
    def settings(**options):
        choice = RefinementOptions("accurate", **options).choice
        return choice(model_name=model, has_guidance=False)

    assert settings().similarity == compared
    with_features = settings(similarity="features")
    assert with_features.beside_features == compared
    other = settings(similarity="features", beside_features="correlation")
    assert other.beside_features == "correlation"


def test_regularity_is_a_factor_of_what_the_refinement_has():
    def variation(**options):
        choice = RefinementOptions("fast", **options).choice
        return choice(model_name="brain", has_guidance=False).update_variation

    assert variation(regularity=4.0) == 4 * variation()
    assert variation(regularity=0.0) == 0
