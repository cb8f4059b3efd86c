"""Every recipe on a stand-in of its cohort: what comes out, and what is recorded."""

import csv
import errno
import json
import re

import numpy as np
import pytest
from scipy.stats import spearmanr

from support.downloads import STANDINS, abdomen, lits, zipped
from support.scans import tiny_model
from voltween import io
from voltween.cohorts import (
    DOWNLOADS,
    PreparationOptions,
    cases_of_split,
    download_named,
    prepare,
    read_manifest,
)
from voltween.errors import InputError, OutputError
from voltween.evaluation import evaluate, method_named
from voltween.io import nifti
from voltween.models import save_model
from voltween.networks import CascadeConfig
from voltween.preprocessing import Preprocessing
from voltween.training import Hardware, Recipe, TrainConfig, try_training

# The stand-ins of LPBA40 are brains of one shape.
pytestmark = pytest.mark.filterwarnings("ignore:.*one and the same label map")

TINY = Recipe(
    Preprocessing((8, 8, 8), (5.0, 5.0, 5.0)),
    CascadeConfig("A", (8, 8, 8), 4),
    TrainConfig(steps=10, validation_pairs=1),
)
MISSING = {
    "lits": ("missing: lits-4 to lits-130",),
    "sliver07": ("missing: sliver07-003 to sliver07-020",),
    "lpba40": ("missing: S03 to S40",),
}


@pytest.fixture(scope="module", params=STANDINS, ids=lambda build: build.__name__)
def cohort(request, tmp_path_factory):
    """A stand-in prepared once: recipe, folders, truth, result."""
    name = request.param.__name__
    source, out = (tmp_path_factory.mktemp(f"{name}_{kind}") for kind in ("in", "out"))
    truth = request.param(source)
    prepared = prepare(download_named(name), source, out=out, options=options_of(name))
    return name, source, out, truth, prepared


def options_of(name):
    """The options that a recipe needs, if any."""
    if name == "folder":
        return PreparationOptions(region="brain", exposure="mr")
    return PreparationOptions()


def rows(path):
    with path.open(newline="") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


def test_all_cases_are_found_and_others_are_said_to_be_missing(cohort):
    name, _, _, truth, prepared = cohort
    assert set(prepared.splits) == set(truth)
    assert set(prepared.made) == set(truth)
    assert prepared.faults == MISSING.get(name, ())


def test_voxels_are_in_ras_order_and_where_they_were(cohort):
    _, _, _, truth, prepared = cohort
    for case in read_manifest(prepared.manifest):
        true_image, true_labels = truth[case.name]
        image = io.read(case.image)
        assert image.grid.axcodes == "RAS"
        voxels = true_image.grid.world_to_voxel(image.grid.voxel_centers_mm())
        np.testing.assert_allclose(voxels, np.rint(voxels), atol=0.01)
        places = tuple(np.moveaxis(np.rint(voxels).astype(int), -1, 0))
        true_values = true_image.data[places]
        # Of ranks: histograms are matched, which is no line.
        assert spearmanr(true_values.ravel(), image.data.ravel()).statistic > 0.98
        assert (case.labels is None) == (true_labels is None)
        if true_labels is not None:
            labels = io.read_labels(case.labels)
            assert labels.grid.is_close(image.grid)
            np.testing.assert_array_equal(labels.data, true_labels.data[places])
            assert labels.data.any()


def test_the_manifest_names_the_cohort_and_the_subjects(cohort):
    name, _, out, _, prepared = cohort
    for case in read_manifest(prepared.manifest):
        assert case.cohort == (out.name if name == "folder" else name)
        # ADNI, ABIDE II and Learn2Reg name the person and the scan.
        scan = r"(-I|(?<=_\d{4})_|(?<=^\d{5})-)\d+$"
        assert case.subject == re.sub(scan, "", case.name)


def test_every_case_is_on_record(cohort):
    name, source, out, truth, _ = cohort
    log = rows(out / "log.csv")
    assert set(log) == set(truth)
    for row in log.values():
        assert all(row[key] for key in ("crop_rule", "box_voxels", "intensity_rule"))
    record = json.loads((out / "provenance.json").read_text("utf-8"))
    assert record["recipe"] == name
    assert record["source"] == source.name
    for case in record["cases"].values():
        assert case["made"] > "2020"
        for item in case["sources"]:
            assert item["bytes"] > 0
            assert len(item["sha256"]) == 64
    assert (out / "contact_sheet.png").read_bytes().startswith(b"\x89PNG")


def test_preparing_again_changes_nothing(cohort):
    name, source, out, _, _ = cohort
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    again = prepare(download_named(name), source, out=out)
    assert again.made == ()
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()} == before


def test_a_zip_gives_the_same_as_the_folder(cohort, tmp_path):
    name, source, out, _, prepared = cohort
    path = zipped(source, tmp_path / "download")
    if name == "rcn":
        with pytest.raises(InputError, match="unpack it"):
            prepare(download_named(name), path, out=tmp_path / "out")
        return
    options = options_of(name)
    same = prepare(download_named(name), path, out=tmp_path / "out", options=options)
    assert same.splits == prepared.splits
    for kind in ("images", "labels", "points"):
        for file in (out / kind).glob("*"):
            ours = tmp_path / "out" / kind / file.name
            if kind == "points":
                assert ours.read_bytes() == file.read_bytes()
                continue
            one, other = io.read(file), io.read(ours)
            assert one.grid.is_close(other.grid)
            np.testing.assert_array_equal(one.data, other.data)


def test_the_manifest_can_be_trained_on_and_evaluated(cohort, tmp_path):
    _, _, _, _, prepared = cohort
    cases = read_manifest(prepared.manifest)
    splits = list(prepared.splits.values())
    if "train" in splits:
        assert splits.count("val") >= 2
        used = [case for case in cases if case.split != "test"]
        hardware = Hardware("cpu")
        trial = try_training(cases, TINY, out=tmp_path / "run", hardware=hardware)
        assert trial.scans == len(used)
    save_model(tiny_model("A", (8, 8, 8)), tmp_path / "tiny.safetensors")
    method = method_named(f"model:{tmp_path / 'tiny.safetensors'}")
    held_out = cases_of_split(cases, "test" if "test" in splits else "val")
    pairs = [(held_out[0].name, held_out[1].name)]
    scores = evaluate([method], held_out, pairs=pairs, out=tmp_path / "measured")
    assert [score.status for score in scores.pairs] == ["ok"]


@pytest.fixture(name="ct")
def ct_fixture(tmp_path):
    """A stand-in of LiTS: its folder and where it is prepared."""
    lits(tmp_path / "in")
    batch = tmp_path / "in" / "media" / "nas" / "Training Batch 1"
    return batch, tmp_path / "in", tmp_path / "out"


LITS = download_named("lits")


def test_everything_that_is_wrong_is_named_and_the_rest_is_prepared(ct):
    batch, source, out = ct
    (batch / "segmentation-0.nii").unlink()
    whole = (batch / "volume-1.nii").read_bytes()
    (batch / "volume-1.nii").write_bytes(whole[: len(whole) // 2])
    other = source / "copy"
    other.mkdir()
    (other / "volume-2.nii").write_bytes(whole)
    (other / "segmentation-7.nii").write_bytes(whole)
    (source / "more.tgz").write_bytes(b"x")
    (source / "more.zip").write_bytes(b"x")
    prepared = prepare(LITS, source, out=out)
    faults = "\n".join(prepared.faults)
    assert (
        "lits-0: expected labels, got an image alone (media/nas/Training Batch 1/volume"
        in faults
    )
    assert (
        "lits-1: media/nas/Training Batch 1/volume-1.nii: expected 31,680 bytes of "
        "voxels, as its header says, got a file of 16,016 bytes" in faults
    )
    assert "lits-2: expected one image, got 2 (copy/volume-2.nii, media" in faults
    assert (
        "lits-7: expected an image, got labels alone (copy/segmentation-7.nii)"
        in faults
    )
    assert "more.tgz: expected a folder or a zip file" in faults
    assert "more.zip: expected a zip file, got one that cannot be unzipped" in faults
    assert "missing: lits-4 to lits-6, lits-8 to lits-130" in faults
    assert list(prepared.splits) == ["lits-3"]
    assert str(out.parent) not in faults


def test_what_was_deleted_or_changed_is_made_again_and_nothing_else(ct):
    batch, source, out = ct
    prepare(LITS, source, out=out)
    kept = (out / "images" / "lits-1.nii.gz").stat().st_mtime_ns
    (out / "labels" / "lits-2.nii.gz").unlink()
    image, _ = abdomen(9)
    data = io.read(batch.parent / "Training Batch 2" / "volume-3.nii").data
    grid = io.read(batch.parent / "Training Batch 2" / "volume-3.nii").grid
    changed = type(image)(data + 1, grid)
    io.write(changed, batch.parent / "Training Batch 2" / "volume-3.nii")
    again = prepare(LITS, source, out=out)
    assert again.made == ("lits-2", "lits-3")
    assert (out / "labels" / "lits-2.nii.gz").exists()
    assert (out / "images" / "lits-1.nii.gz").stat().st_mtime_ns == kept


def test_another_reference_changes_all(ct, tmp_path):
    _, source, out = ct
    prepare(LITS, source, out=out)
    image, _ = abdomen(3)
    brighter = type(image)(image.data * 1.5 + 100, image.grid)
    io.write(brighter, tmp_path / "reference.nrrd")
    options = PreparationOptions(reference=tmp_path / "reference.nrrd")
    assert len(prepare(LITS, source, out=out, options=options).made) == 4
    with pytest.raises(InputError, match="--reference: expected a cohort of CT"):
        prepare(download_named("oasis"), source, out=tmp_path, options=options)
    ready = io.read(out / "images" / "lits-1.nii.gz")
    assert ready.data.max() == pytest.approx(brighter.data.max(), rel=0.02)


def test_ct_stored_with_an_offset_is_in_hounsfield_units(ct):
    batch, source, out = ct
    plain = io.read(batch / "volume-0.nii")
    io.write(type(plain)(plain.data + 1000, plain.grid), batch / "volume-0.nii")
    prepare(LITS, source, out=out)
    assert io.read(out / "images" / "lits-0.nii.gz").data.min() < -800
    assert rows(out / "log.csv")["lits-0"]["intensity_rule"].startswith("1000 taken")


def test_val_is_drawn_by_person_and_always_the_same(ct):
    _, source, out = ct
    splits = prepare(LITS, source, out=out).splits
    assert sorted(splits.values()) == ["train", "train", "val", "val"]
    assert prepare(LITS, source, out=out).splits == splits
    none = prepare(
        LITS, source, out=out, options=PreparationOptions(val_share=0.0)
    ).splits
    assert set(none.values()) == {"train"}
    with pytest.raises(InputError, match="val_share: expected a number from 0"):
        PreparationOptions(val_share=1.5)


def test_a_download_of_something_else_is_refused_and_nothing_is_written(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("nothing")
    for cohort in DOWNLOADS:
        options = options_of(cohort.name)
        with pytest.raises(InputError, match=r"expected .*dataset.json|as downloaded"):
            prepare(cohort, tmp_path / "in", out=tmp_path / "out", options=options)
    assert not (tmp_path / "out").exists()
    with pytest.raises(
        InputError, match="expected a folder or a zip file, got nothing"
    ):
        prepare(LITS, tmp_path / "nowhere", out=tmp_path / "out")


def test_what_is_wrong_with_all_cases_ends_in_one_short_line(ct):
    _, source, out = ct
    for file in source.rglob("volume*"):
        file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(
        InputError, match=r"lits-0: .*lits-1: .* and 2 more\): see volt"
    ):
        prepare(LITS, source, out=out)
    assert not out.exists()


def test_a_full_disk_ends_it_all_and_the_next_run_goes_on(ct, monkeypatch):
    _, source, out = ct
    real, files = nifti.igzip_threaded.open, []

    def fail_at_last(path, *arguments, **options):
        files.append(path)
        if len(files) == 6:  # the labels of the third case
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(nifti.igzip_threaded, "open", fail_at_last)
        with pytest.raises(OutputError, match="No space left on device"):
            prepare(LITS, source, out=out)
    assert not (out / "cases.csv").exists()
    assert not (out / "labels" / "lits-2.nii.gz").exists()
    assert prepare(LITS, source, out=out).made == ("lits-2", "lits-3")


def test_a_case_that_is_gone_leaves_the_manifest_and_the_contact_sheet(ct):
    batch, source, out = ct
    prepare(LITS, source, out=out)
    before = (out / "contact_sheet.png").read_bytes()
    for kind in ("volume", "segmentation"):
        (batch / f"{kind}-1.nii").unlink()
    again = prepare(LITS, source, out=out)
    assert again.made == ()
    assert set(again.splits) == {"lits-0", "lits-2", "lits-3"}
    assert (out / "contact_sheet.png").read_bytes() != before
