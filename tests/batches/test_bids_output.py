"""Results as a BIDS derivative: names, sidecars, and what a validator asks for."""

import json
import re

import numpy as np
import pytest

from support.commands import run_here
from support.phantoms import phantom, write_phantoms
from voltween import io
from voltween.batches.bids_output import bids_uri

CHEAP = ("--model", "none", "--refine", 4)
SCANS = {"sub-01/ses-1": (0, 4, 0), "sub-01/ses-2": (6, 0, 0), "sub-02": (0, 0, 4)}
# sub, ses, then entities in the order of the specification, suffix, extension.
NAME = re.compile(
    r"sub-[0-9]+(_ses-[0-9]+)?"
    r"(_from-[a-zA-Z0-9]+_to-[a-zA-Z0-9]+_mode-image_xfm\.(h5|json|nii\.gz)"
    r"|_space-[a-zA-Z0-9]+_(T1w|dseg)\.(nii\.gz|json)"
    r"|_seg-[a-zA-Z0-9]+_dseg\.(nii\.gz|json))"
)

pytestmark = pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")


def write_data_set(folder):
    """A raw BIDS data set of phantoms, one subject with two sessions."""
    for place, shift in SCANS.items():
        anat = folder / place / "anat"
        anat.mkdir(parents=True)
        io.write(phantom(shift)[0], anat / f"{place.replace('/', '_')}_T1w.nii.gz")
    facts = {"Name": "phantoms", "BIDSVersion": "1.10.0"}
    (folder / "dataset_description.json").write_text(json.dumps(facts))
    return folder


@pytest.fixture(scope="module", name="folders")
def folders_fixture(tmp_path_factory):
    """A data set with the derivatives of a registration to an atlas, in it."""
    folder = tmp_path_factory.mktemp("bids")
    raw = write_data_set(folder / "raw")
    atlas = write_phantoms(folder / "atlas", {"tpl-My+Space_T1w": (0, 0, 0)})
    out = raw / "derivatives" / "voltween"
    files = ["--fixed-labels", atlas / "tpl-My+Space_T1w_labels.nii.gz"]
    files += ["--fixed-points", atlas / "tpl-My+Space_T1w.csv"]
    to = ["--fixed", atlas / "tpl-My+Space_T1w.nii.gz", *files]
    words = ["cohort", raw, "--bids", *to, "--out", out, *CHEAP]
    assert run_here(*words) == 0
    return raw, out, atlas


def test_transforms_and_images_are_named_as_bids_has_them(folders):
    _, out, _ = folders
    anat = out / "sub-01" / "ses-2" / "anat"
    names = {path.name for path in anat.iterdir()}
    stem = "sub-01_ses-2"
    to_fixed = f"{stem}_from-T1w_to-MySpace_mode-image_xfm"
    to_moving = f"{stem}_from-MySpace_to-T1w_mode-image_xfm"
    assert names == {
        *(f"{to_fixed}.h5", f"{to_fixed}.json"),
        *(f"{to_moving}.h5", f"{to_moving}.json"),
        *(f"{stem}_space-MySpace_T1w.nii.gz", f"{stem}_space-MySpace_T1w.json"),
        *(f"{stem}_seg-MySpace_dseg.nii.gz", f"{stem}_seg-MySpace_dseg.json"),
        f"{stem}_desc-MySpace_points.csv",
        f"{stem}_to-MySpace_overview.png",
        f"{stem}_to-MySpace_registration.json",
    }
    assert (out / "sub-02" / "anat").is_dir()


def test_every_name_is_valid_or_ignored(folders):
    _, out, _ = folders
    ignored = (out / ".bidsignore").read_text("utf-8").split("\n")
    ends = tuple(line.rsplit("*", 1)[1] for line in ignored if "*" in line)
    roots = tuple(line[:-2] for line in ignored if line.endswith("/**"))
    for path in (path for path in out.rglob("*") if path.is_file()):
        inner = path.relative_to(out).as_posix()
        if path.name in ("dataset_description.json", ".bidsignore", "README"):
            continue
        is_ignored = inner.endswith(ends) or inner.startswith(roots)
        assert is_ignored or NAME.fullmatch(path.name), inner


def test_transforms_have_the_direction_of_their_names(folders):
    _, out, _ = folders
    anat = out / "sub-01" / "ses-2" / "anat"
    (to_fixed,) = anat.glob("*_from-T1w_to-*.h5")
    (to_moving,) = anat.glob("*_to-T1w_*.h5")
    point = np.zeros((1, 3))
    # An ITK transform that takes images to the template maps its points to the scan.
    there = io.read_transform(to_fixed).map_positions(point)
    np.testing.assert_allclose(there, [[6, 0, 0]], atol=1)
    back = io.read_transform(to_moving).map_positions(there)
    np.testing.assert_allclose(back, point, atol=0.5)
    points = io.read_points(anat / "sub-01_ses-2_desc-MySpace_points.csv")
    np.testing.assert_allclose(points.mm, [[6, 0, 0]], atol=1)


def test_images_lie_in_the_space_of_their_names(folders):
    raw, out, atlas = folders
    anat = out / "sub-01" / "ses-2" / "anat"
    moved = io.read(anat / "sub-01_ses-2_space-MySpace_T1w.nii.gz")
    assert moved.grid.is_close(io.read(atlas / "tpl-My+Space_T1w.nii.gz").grid)
    labels = io.read_labels(anat / "sub-01_ses-2_seg-MySpace_dseg.nii.gz")
    scan = raw / "sub-01" / "ses-2" / "anat" / "sub-01_ses-2_T1w.nii.gz"
    assert labels.grid.is_close(io.read(scan).grid)


def test_sidecars_name_the_sources_and_the_space(folders):
    _, out, atlas = folders
    fixed = (atlas / "tpl-My+Space_T1w.nii.gz").as_uri()
    moving = "bids:raw:sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz"
    anat = out / "sub-01" / "ses-2" / "anat"
    for name, space in {
        "space-MySpace_T1w": fixed,
        "from-T1w_to-MySpace_mode-image_xfm": fixed,
        "from-MySpace_to-T1w_mode-image_xfm": moving,
        "seg-MySpace_dseg": moving,
    }.items():
        sidecar = json.loads((anat / f"sub-01_ses-2_{name}.json").read_text("utf-8"))
        assert sidecar["Sources"] == [moving, fixed]
        assert sidecar["SpatialReference"] == space
        assert sidecar["Description"]
        assert sidecar.get("SkullStripped") is (False if name.endswith("T1w") else None)


def test_the_data_set_says_what_made_it_from_what(folders):
    raw, out, _ = folders
    facts = json.loads((out / "dataset_description.json").read_text("utf-8"))
    assert facts["DatasetType"] == "derivative"
    assert facts["GeneratedBy"][0]["Name"] == "Voltween"
    assert facts["DatasetLinks"] == {"raw": raw.absolute().as_uri()}
    assert set(facts) >= {"Name", "BIDSVersion", "SourceDatasets"}


def test_the_derivatives_are_no_cases_of_the_next_run(folders, monkeypatch):
    raw, out, atlas = folders
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*_xfm*")}
    files = ["--fixed-labels", atlas / "tpl-My+Space_T1w_labels.nii.gz"]
    files += ["--fixed-points", atlas / "tpl-My+Space_T1w.csv"]
    to = ["--fixed", atlas / "tpl-My+Space_T1w.nii.gz", *files]
    assert run_here(*["cohort", raw, "--bids", *to, "--out", out, *CHEAP]) == 0
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*_xfm*")}


def test_sessions_are_registered_to_the_first(folders, tmp_path):
    raw, _, _ = folders
    words = ["cohort", raw, "--bids", "--longitudinal", "--out", tmp_path / "out"]
    assert run_here(*words, *CHEAP, "--outputs", "transform") == 0
    (transform,) = (tmp_path / "out").rglob("*.h5")
    assert transform.name == "sub-01_ses-2_from-T1w_to-sub01ses1_mode-image_xfm.h5"
    mapped = io.read_transform(transform).map_positions(np.array([[0.0, 4, 0]]))
    np.testing.assert_allclose(mapped, [[6, 0, 0]], atol=1)


def test_only_a_bids_data_set_has_bids_derivatives(tmp_path, capsys):
    scans = write_phantoms(tmp_path / "scans", {"a": (0, 0, 0), "b": (2, 0, 0)})
    words = ["cohort", scans, "--bids", "--all-pairs", "--out", tmp_path / "out"]
    assert run_here(*words) == 2
    assert "--bids: expected a BIDS data set" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_file_outside_of_the_data_set_has_an_address_of_its_own(tmp_path):
    inner = tmp_path / "raw" / "sub-1" / "a b.nii"
    assert bids_uri(inner, tmp_path / "raw") == "bids:raw:sub-1/a b.nii"
    outside = bids_uri(tmp_path / "other" / "a b.nii", tmp_path / "raw")
    assert outside.startswith("file:///")
    assert outside.endswith("/other/a%20b.nii")
