"""`voltween import-rcn`: from a checkpoint of the authors' later code to a model."""

import numpy as np
import pytest

from support.rcn import rcn_variables, write_checkpoint
from voltween import io
from voltween.cli import main
from voltween.models import load_model
from voltween.spatial import Grid, Image

SIDE = 64  # the least that can be halved six times


@pytest.fixture(scope="module", name="checkpoint")
def checkpoint_fixture(tmp_path_factory):
    """The prefix of a checkpoint with an affine and two dense subnetworks."""
    folder = tmp_path_factory.mktemp("weights")
    variables = rcn_variables((SIDE,) * 3, channels=1)
    return write_checkpoint(folder / "model-99500", variables)


def published_array(seed):
    """A volume as the authors publish theirs: 0 to 255, no header, 1 mm assumed."""
    values = np.random.default_rng(seed).integers(0, 256, (SIDE,) * 3).astype("u1")
    values[0, 0, :2] = 0, 255
    return Image(values, Grid((SIDE,) * 3, np.eye(4)))


@pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")
@pytest.mark.filterwarnings("ignore::voltween.errors.FoldingWarning")
def test_the_model_registers_arrays_as_the_authors_publish_them(checkpoint, tmp_path):
    out = tmp_path / "rcn.safetensors"
    main(["import-rcn", str(checkpoint), "--out", str(out)])
    for name, seed in (("fixed", 0), ("moving", 1)):
        io.write(published_array(seed), tmp_path / f"{name}.nii.gz")
    scans = [str(tmp_path / f"{name}.nii.gz") for name in ("fixed", "moving")]
    main(["register", *scans, "--model", str(out), "--out", str(tmp_path / "result")])
    assert (tmp_path / "result" / "moved.nii.gz").is_file()
    assert (tmp_path / "result" / "fixed_to_moving.h5").is_file()


def test_intensities_and_voxels_reach_the_network_as_in_the_authors_code(
    checkpoint, tmp_path
):
    out = tmp_path / "rcn.safetensors"
    main(["import-rcn", str(checkpoint), "--out", str(out)])
    image = published_array(0)
    canonical = load_model(out).preprocessing.normalize(image)
    assert canonical.grid.is_close(image.grid)
    np.testing.assert_allclose(canonical.data, image.data / 255, atol=1 / 254)


def test_options_become_part_of_the_model(checkpoint, tmp_path, capsys):
    out = tmp_path / "rcn.safetensors"
    options = ["--repeats", "2", "--spacing-mm", "2", "2", "3", "--placement", "head"]
    window = ["--hounsfield-window", "-25", "265", "--axes", "RPI"]
    words = [str(checkpoint), "--out", str(out), *options, *window]
    main(["import-rcn", *words])
    assert "ADD of 2 passes, 64 x 64 x 64 voxels" in capsys.readouterr().out
    model = load_model(out)
    assert model.network.config.repeats == 2
    assert model.preprocessing.spacing_mm == (2.0, 2.0, 3.0)
    assert model.preprocessing.placement == "head"
    assert model.preprocessing.axes == "RPI"
    assert model.preprocessing.hounsfield_window == (-25.0, 265.0)
    assert model.provenance["checkpoint"] == "model-99500"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("model-1", "rcn.safetensors"), "got no file model-1.index"),
        (("model-99500", "rcn.npz"), "expected a name for a model that ends in .safe"),
    ],
)
def test_bad_words_are_refused_in_one_line(
    names, message, checkpoint, tmp_path, capsys
):
    source, target = names
    words = [checkpoint.with_name(source), "--out", tmp_path / target]
    with pytest.raises(SystemExit) as caught:
        main(["import-rcn", *map(str, words)])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
