"""Recipes on downloads: names, pairs of files, headers that are missing or wrong."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from support import downloads as standins
from support.cohorts import trunk
from support.downloads import centered, head, in_order, write, write_analyze
from support.scans import STORAGE_ORDERS, stored
from voltween import io
from voltween.cohorts import (
    DOWNLOADS,
    PreparationOptions,
    download_named,
    prepare,
    read_manifest,
)
from voltween.cohorts.downloads.analyze import directions_of
from voltween.cohorts.downloads.download import LoadedCase
from voltween.cohorts.downloads.lpba40 import orient_by_labels
from voltween.cohorts.downloads.scans import group_scans
from voltween.cohorts.downloads.sources import natural_order, open_source
from voltween.errors import (
    InputError,
    SuspiciousInputWarning,
)
from voltween.metrics import landmark_differences_in_fixed_mm
from voltween.spatial import Affine, Grid, Image, LabelMap


def contents(name, source):
    return download_named(name).find(open_source(source))


def test_numbers_in_names_are_ordered_as_numbers():
    assert sorted(["v10.nii", "v9.nii", "a"], key=natural_order)[1:] == [
        "v9.nii",
        "v10.nii",
    ]


def test_hidden_files_are_left_out_and_zips_are_looked_into(tmp_path):
    for name in ("a/volume-1.nii", "__MACOSX/a/._volume-1.nii", "a/.hidden.nii"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"voxels")
    zips = tmp_path / "zips" / "part"
    zips.mkdir(parents=True)
    standins.zipped(tmp_path / "in", zips / "batch")
    (zips / "b.txt").write_text("x")
    source = open_source(tmp_path / "zips")
    assert [f.name for f in source.files] == ["part/a/volume-1.nii", "part/b.txt"]
    file = source.files[0]
    assert file.shown == "batch.zip: part/a/volume-1.nii"
    plain = open_source(tmp_path / "in").files[0]
    assert file.facts()["sha256"] == plain.facts()["sha256"]
    assert file.facts()["bytes"] == 6
    assert [f.name for f in open_source(zips / "batch.zip").files] == ["a/volume-1.nii"]


def test_folders_behind_links_are_looked_into_once(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "volume-1.nii").write_bytes(b"voxels")
    (tmp_path / "disk" / "again").symlink_to(tmp_path / "disk")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "batch").symlink_to(tmp_path / "disk")
    names = [file.name for file in open_source(tmp_path / "in").files]
    assert names == ["batch/volume-1.nii"]


class TestAnalyze:
    """Pairs of .hdr and .img."""

    def read(self, folder, axes="LAS"):
        (scan,) = group_scans(open_source(folder).files)
        return scan.read_image(axes=axes)[0]

    @pytest.mark.parametrize("packed", [False, True])
    @pytest.mark.parametrize("axes", ["RAS", "LAS", "ASL", "PIR"])
    def test_axes_are_as_declared(self, axes, packed, tmp_path):
        truth = centered(head(1)[0])
        write_analyze(truth, tmp_path / "a", axes=axes, packed=packed)
        image = self.read(tmp_path, axes)
        assert image.grid.axcodes == axes
        voxels = truth.grid.world_to_voxel(image.grid.voxel_centers_mm())
        places = tuple(np.moveaxis(np.rint(voxels).astype(int), -1, 0))
        np.testing.assert_array_equal(image.data, truth.data[places])

    def test_a_missing_half_is_named(self, tmp_path):
        write_analyze(head(1)[0], tmp_path / "a", axes="LAS")
        (tmp_path / "a.hdr").rename(tmp_path / "b.hdr")
        halves = group_scans(open_source(tmp_path).files)
        with pytest.raises(
            InputError, match=r"^a.img: expected a pair of files with a .hdr"
        ):
            halves[0].read_image(axes="LAS")
        with pytest.raises(
            InputError, match=r"^b.hdr: expected a pair of files with a .img"
        ):
            halves[1].read_image(axes="LAS")

    @pytest.mark.parametrize("packed", [False, True])
    def test_voxels_cut_short_are_refused(self, packed, tmp_path):
        write_analyze(head(1)[0], tmp_path / "a", axes="LAS", packed=packed)
        path = tmp_path / ("a.img.gz" if packed else "a.img")
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InputError, match=r"^a\.(hdr|img.gz).*cut short"):
            self.read(tmp_path)


class TestLpba40:
    """The places of its structures say where left is."""

    @pytest.mark.parametrize("order", STORAGE_ORDERS[::5])
    def test_labels_decide_whatever_the_header_says(self, order):
        image = centered(head(2)[0])
        labels = standins.structures(image)
        true_image, true_labels = stored(image, order), stored(labels, order)
        wrong = Grid(true_image.grid.shape, np.diag([-2.0, 2, 2, 1]))
        placed = orient_by_labels(
            LoadedCase(Image(true_image.data, wrong), LabelMap(true_labels.data, wrong))
        )
        assert placed.image.grid.axcodes == true_image.grid.axcodes
        assert placed.labels.grid.is_close(placed.image.grid)
        is_said = true_image.grid.axcodes != "LAS"
        assert len(placed.remarks) == is_said

    def test_a_header_that_agrees_is_left_alone(self):
        image = in_order(head(2)[0], 4)
        labels = in_order(standins.structures(head(2)[0]), 4)
        loaded = LoadedCase(image, labels)
        assert orient_by_labels(loaded) is loaded

    def test_a_mirrored_nifti_is_turned_back_and_that_is_in_the_log(self, tmp_path):
        labels = standins.structures(head(2)[0])
        mirror = np.diag([-1.0, 1, 1, 1]) @ labels.grid.affine
        for number in (1, 2):
            image = head(number)[0]
            name = f"LPBA40/S{number:02}.delineation"
            for kind, volume in (("skullstripped", image), ("structure.label", labels)):
                mirrored = type(volume)(volume.data, Grid(volume.grid.shape, mirror))
                write(mirrored, tmp_path / "in" / f"{name}.{kind}.nii.gz")
        prepare(download_named("lpba40"), tmp_path / "in", out=tmp_path / "out")
        ready = io.read_labels(tmp_path / "out" / "labels" / "S01.nii.gz")
        across = ready.grid.voxel_centers_mm()[..., 0]
        assert across[ready.data == 21].mean() < across[ready.data == 22].mean()
        assert "labels lie as in RAS" in (tmp_path / "out" / "log.csv").read_text(
            "utf-8"
        )


def test_directions_are_named_as_axcodes_are():
    for axes in ("RAS", "LPI", "ASL", "IRP"):
        affine = np.eye(4)
        affine[:3, :3] = directions_of(axes)
        assert Grid((2, 2, 2), affine).axcodes == axes


@pytest.mark.filterwarnings("ignore:.*one and the same scan")
def test_scans_of_one_person_stay_in_one_split(tmp_path):
    for number in range(6):
        for visit in ("2006-05-02", "2007-05-02"):
            scan = f"I{number}{visit[:4]}"
            place = tmp_path / "ADNI" / f"00{number}_S_0413" / "MPRAGE" / visit / scan
            write(head(number)[0], place / "T1.nii")
    splits = prepare(download_named("adni"), tmp_path, out=tmp_path / "out").splits
    assert len(splits) == 12
    of_person = {}
    for name, split in splits.items():
        of_person.setdefault(name[:10], set()).add(split)
    assert all(len(kinds) == 1 for kinds in of_person.values())
    assert sorted(next(iter(f)) for f in of_person.values()).count("val") == 2


def test_older_downloads_of_adni_are_named_by_image_or_series(tmp_path):
    place = tmp_path / "002_S_0413" / "MPR__GradWarp" / "2006-05-02_12_31_52.0"
    write(head(0)[0], place / "S13893" / "ADNI_002_S_0413_MR_Br_2007_S13893_I45117.nii")
    standins.write_dicom(head(1)[0], place / "S13894")
    names = [case.name for case in contents("adni", tmp_path).cases]
    assert names == ["002_S_0413-I45117", "002_S_0413-S13894"]


def test_oasis_takes_neurite_before_the_discs_and_later_sessions_by_name(tmp_path):
    standins.oasis(tmp_path)
    image, _ = head(7)
    disc = tmp_path / "disc2" / "OAS1_0001_MR2" / "RAW"
    write_analyze(centered(image), disc / "OAS1_0001_MR2_mpr-1_anon", axes="ASL")
    cases = {case.name: case for case in contents("oasis", tmp_path).cases}
    assert "OAS1_0001-2" in cases
    assert cases["OAS1_0001-2"].person == cases["OAS1_0001"].person
    files = [source()["file"] for source in cases["OAS1_0001"].sources]
    assert files == [f"OASIS_OAS1_0001_MR1/{n}.nii.gz" for n in ("norm", "seg35")]


class TestLearn2Reg:
    """The content of dataset.json, and the files beside it."""

    @pytest.fixture(name="task")
    def task_fixture(self, tmp_path):
        standins.learn2reg(tmp_path / "in")
        return tmp_path / "in"

    def change(self, task, **facts):
        path = task / "Task_dataset.json"
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | facts))

    def test_points_are_turned_from_voxels_to_world(self, task, tmp_path):
        prepare(download_named("learn2reg"), task, out=tmp_path / "out")
        stored_image = io.read(task / "imagesTr" / "Task_0001_0000.nii.gz")
        points = io.read_points(tmp_path / "out" / "points" / "Task_0001_0000.csv")
        there = stored_image.grid.world_to_voxel(points.mm)
        np.testing.assert_allclose(there, [[0, 0, 0], [3.5, 4.25, 5]], atol=1e-3)

    def test_landmarks_come_before_keypoints(self, task):
        (task / "landmarksTr").mkdir()
        (task / "landmarksTr" / "Task_0001_0000.csv").write_text("1,2,3\n")
        cases = {case.name: case for case in contents("learn2reg", task).cases}
        assert len(cases["Task_0001_0000"].load().points.mm) == 1
        assert len(cases["Task_0001_0001"].load().points.mm) == 2

    def test_its_pairs_and_splits_are_kept(self, task, tmp_path):
        self.change(task, test=["./imagesTr/Task_0000_0001.nii.gz"])
        facts = json.loads((task / "Task_dataset.json").read_text("utf-8"))
        facts["training"].pop(1)
        self.change(task, training=facts["training"])
        ready = prepare(download_named("learn2reg"), task, out=tmp_path / "out")
        assert ready.splits == {
            "Task_0000_0000": "train",
            "Task_0001_0000": "val",
            "Task_0001_0001": "val",
            "Task_0000_0001": "test",
        }
        pairs = (tmp_path / "out" / "pairs.csv").read_text("utf-8").split()
        assert pairs == ["fixed,moving", "Task_0001_0001,Task_0001_0000"]

    def test_what_is_listed_and_not_there_is_named(self, task):
        (task / "imagesTr" / "Task_0000_0000.nii.gz").unlink()
        (task / "labelsTr" / "Task_0000_0001.nii.gz").unlink()
        (task / "keypointsTr" / "Task_0001_0000.csv").write_text("a,b,c\n")
        listed = contents("learn2reg", task)
        assert [case.name[-9:] for case in listed.cases] == ["0001_0000", "0001_0001"]
        assert "Task_0000_0000: expected its image ./images" in listed.all_faults[0]
        assert "Task_0000_0001: expected its labels ./labels" in listed.all_faults[1]
        with pytest.raises(InputError, match="expected rows of three numbers"):
            listed.cases[0].load()

    def test_two_tasks_or_none_are_refused(self, task):
        (task / "dataset.json").write_text("{}")
        with pytest.raises(InputError, match=r"expected one dataset.json, got 2"):
            contents("learn2reg", task)
        (task / "Task_dataset.json").unlink()
        (task / "dataset.json").write_text("no json")
        with pytest.raises(InputError, match=r"dataset.json: expected a JSON object"):
            contents("learn2reg", task)
        (task / "dataset.json").write_text('{"training": [{"label": "a.nii"}]}')
        with pytest.raises(InputError, match=r"expected a path 'image' in training"):
            contents("learn2reg", task)


class TestRcn:
    """The .h5 files of Recursive-Cascaded-Networks."""

    @pytest.fixture(name="arrays")
    def arrays_fixture(self, tmp_path):
        (tmp_path / "in").mkdir()
        standins.rcn(tmp_path / "in")
        return tmp_path / "in"

    def test_val_files_are_to_test_on_and_points_are_in_mm(self, arrays):
        cases = {case.name: case for case in contents("rcn", arrays).cases}
        assert cases["sliver_val-4"].split == "test"
        assert cases["adni-0"].split is None
        loaded = cases["sliver_val-4"].load()
        assert loaded.labels.labels == (1,)
        corner = loaded.image.grid.affine[:3, 3]
        np.testing.assert_allclose(
            loaded.points.mm, np.tile(corner + np.array([1, 2, 3]), (6, 1))
        )
        assert "axes taken as R, A, S" in loaded.remarks[0]

    def test_a_missing_landmark_leaves_the_others_with_their_names(self, arrays):
        import h5py

        with h5py.File(arrays / "sliver_val.h5", "a") as file:
            file["4/point"][2] = -1
            file["5/point"][:] = -1
            file["5/point"][4] = 3, 2, 1
        cases = {case.name: case for case in contents("rcn", arrays).cases}
        four, five = (cases[f"sliver_val-{n}"].load() for n in (4, 5))
        assert four.points.names == ("L1", "L2", "L4", "L5", "L6")
        assert "missing landmarks: L3" in four.remarks
        assert five.points.names == ("L5",)
        with pytest.warns(SuspiciousInputWarning, match="L1, L2, L4, L6 of the fixed"):
            difference = landmark_differences_in_fixed_mm(
                Affine.identity(), four.points, five.points
            )
        np.testing.assert_allclose(difference, [[2, 0, -2]])
        with h5py.File(arrays / "sliver_val.h5", "a") as file:
            file["5/point"][:] = -1
        assert cases["sliver_val-5"].load().points is None

    @pytest.mark.parametrize("kind", ["link", "storage", "texts", "nowhere"])
    def test_arrays_that_the_file_does_not_hold_are_refused(self, kind, arrays):
        import h5py

        (arrays / "secret").write_bytes(bytes(8))
        with h5py.File(arrays / "adni.h5", "a") as file:
            group, shape = file["0"], (2, 2, 2)
            del group["volume"]
            if kind == "link":
                group["volume"] = h5py.ExternalLink(str(arrays / "sliver_val.h5"), "/4")
            elif kind == "storage":
                secret = [(str(arrays / "secret"), 0, 8)]
                group.create_dataset("volume", shape, "u1", external=secret)
            elif kind == "texts":
                group["volume"] = ["text"]
            else:  # a header of gigabytes
                group.create_dataset("volume", (4096,) * 3, "u1", chunks=(64,) * 3)
        case = next(c for c in contents("rcn", arrays).cases if c.name == "adni-0")
        with pytest.raises(InputError, match=r"adni\.h5: expected a"):
            case.load()

    def test_the_authors_atlas_is_the_fixed_image_of_their_pairs(
        self, arrays, tmp_path
    ):
        files = {
            "adni": {"path": "datasets/adni.h5"},
            "lpba": {"path": "datasets/sliver_val.h5"},
        }
        subsets = {
            "combine-train": [f"adni/{n}" for n in range(4)],
            "lpba-val": ["lpba/5"],
        }
        facts = {"files": files, "atlas": "lpba/4", "subsets": subsets}
        (arrays / "brain.json").write_text(json.dumps(facts))
        ready = prepare(download_named("rcn"), arrays, out=tmp_path / "out")
        assert ready.splits["sliver_val-4"] == ready.splits["sliver_val-5"] == "test"
        rows = (tmp_path / "out" / "pairs.csv").read_text("utf-8").split()
        assert rows == ["fixed,moving", "sliver_val-4,sliver_val-5"]

    def test_the_neighbors_listed_of_lspig_are_pairs_in_both_directions(self, arrays):
        files = {"pigs": {"path": "datasets/adni.h5"}}
        subsets = {"lspig-val": ["pigs/3", "pigs/0", "pigs/1", "pigs/2"]}
        facts = {"files": files, "subsets": subsets}
        (arrays / "liver.json").write_text(json.dumps(facts))
        names = [(int(a[-1]), int(b[-1])) for a, b in contents("rcn", arrays).pairs]
        assert names == [(3, 0), (0, 3), (1, 2), (2, 1)]

    def test_the_authors_list_decides(self, arrays):
        files = {
            "adni": {"path": "datasets/adni.h5"},
            "/": {"path": "datasets/sliver_val.h5"},
        }
        subsets = {"combine-train": ["adni/0", "adni/2"], "sliver-val": ["5"]}
        path = arrays / "liver.json"
        path.write_text(json.dumps({"files": files, "subsets": subsets}))
        cases = contents("rcn", arrays).cases
        splits = {case.name: case.split for case in cases}
        assert splits == {"adni-0": "train", "adni-2": "train", "sliver_val-5": "test"}
        path.write_text("[]")
        with pytest.raises(InputError, match=r"liver.json: expected the authors' list"):
            contents("rcn", arrays)

    def test_a_damaged_file_is_named(self, arrays):
        whole = (arrays / "adni.h5").read_bytes()
        (arrays / "adni.h5").write_bytes(whole[:100])
        listed = contents("rcn", arrays)
        assert len(listed.cases) == 2
        assert listed.faults[0].startswith("adni.h5: expected an .h5 file")


def test_the_two_parts_of_abide_are_told_apart(tmp_path):
    standins.abide(tmp_path)
    for name in ("abide1", "abide2"):
        found = contents(name, tmp_path)
        assert found.all_faults == ()
        names = [case.name for case in found.cases]
        assert names == list(getattr(standins, f"{name.upper()}_PLACES"))
    person = {case.name: case.person for case in contents("abide2", tmp_path).cases}
    assert person["51206-2"] == "51206"


class TestFolder:
    """Somebody's own scans."""

    CT = PreparationOptions(region="liver", exposure="ct", val_share=0.0)

    def test_cts_are_cropped_and_matched_as_those_of_lits(self, tmp_path):
        standins.lits(tmp_path / "lits")
        for number in range(4):
            batch = tmp_path / "lits" / "media" / "nas"
            batch /= f"Training Batch {number // 2 + 1}"
            for kind, stem in (("images", "volume"), ("labels", "segmentation")):
                path = tmp_path / "own" / kind / f"p{number}.nii"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(batch / f"{stem}-{number}.nii")
        prepare(download_named("lits"), tmp_path / "lits", out=tmp_path / "out")
        ready = prepare(
            *(download_named("folder"), tmp_path / "own"),
            **{"out": tmp_path / "bfh", "options": self.CT},
        )
        cases = read_manifest(ready.manifest)
        assert [case.name for case in cases] == ["p0", "p1", "p2", "p3"]
        assert {case.cohort for case in cases} == {"bfh"}
        for number, case in enumerate(cases):
            image = io.read(case.image)
            other = io.read(tmp_path / "out" / "images" / f"lits-{number}.nii.gz")
            assert image.grid.is_close(other.grid)
            np.testing.assert_array_equal(image.data, other.data)
        # The same reference as the other cohort's changes no histogram.
        options = replace(
            self.CT, reference=tmp_path / "out" / "images" / "lits-0.nii.gz"
        )
        matched = prepare(
            *(download_named("folder"), tmp_path / "own"),
            **{"out": tmp_path / "bfh", "options": options},
        )
        assert len(matched.made) == 4
        log = (tmp_path / "bfh" / "log.csv").read_text("utf-8")
        assert log.count("histogram matched to the reference") == 4

    def test_scans_of_one_name_and_labels_alone_are_named(self, tmp_path):
        image, labels = head(0)
        write(image, tmp_path / "a.nii.gz")
        write(image, tmp_path / "images" / "a.mha")
        write(image, tmp_path / "b.mha")
        write(labels, tmp_path / "labels" / "c.mha")
        found = contents("folder", tmp_path)
        assert [case.name for case in found.cases] == ["b"]
        assert found.all_faults == (
            "a: expected one image, got 2 (a.nii.gz, images/a.mha): keep one",
            "c: expected an image, got labels alone (labels/c.mha)",
        )

    def test_mr_without_labels_cannot_be_cropped_to_the_liver(self, tmp_path):
        write(head(0)[0], tmp_path / "a.nii.gz")
        with pytest.raises(InputError, match="a: labels: expected a label map that"):
            prepare(
                *(download_named("folder"), tmp_path),
                out=tmp_path / "out",
                options=PreparationOptions(region="liver", exposure="mr"),
            )

    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("folder", {"exposure": "ct"}, "--region: expected one of liver, brain"),
            ("folder", {"region": "none"}, "--exposure: expected one of ct, mr"),
            ("lits", {"region": "liver"}, "--region: expected the recipe folder"),
            ("adni", {"exposure": "mr"}, "--exposure: expected the recipe folder"),
        ],
    )
    def test_region_and_exposure_are_of_this_recipe_alone(
        self, name, options, message, tmp_path
    ):
        options = PreparationOptions(**options)
        with pytest.raises(InputError, match=message):
            prepare(
                download_named(name), tmp_path, out=tmp_path / "out", options=options
            )


def test_every_recipe_says_where_it_is_and_how_it_looks():
    for cohort in DOWNLOADS:
        assert "https://" in cohort.origin or cohort.is_open
        assert cohort.disk
        assert re.fullmatch(r"[a-z0-9]+", cohort.name)


def test_real_scans_in_the_layout_of_a_decathlon_task(shared_data, tmp_path):
    origin = shared_data / "hippocampus"
    rows = []
    for number in ("001", "003"):
        for kind in ("images", "labels"):
            (tmp_path / "in" / f"{kind}Tr").mkdir(parents=True, exist_ok=True)
            file = f"hippocampus_{number}.nii.gz"
            (tmp_path / "in" / f"{kind}Tr" / file).symlink_to(origin / kind / file)
        rows.append({"image": f"./imagesTr/{file}", "label": f"./labelsTr/{file}"})
    (tmp_path / "in" / "dataset.json").write_text(json.dumps({"training": rows}))
    ready = prepare(download_named("learn2reg"), tmp_path / "in", out=tmp_path / "out")
    assert ready.faults == ()
    image = io.read(origin / "images" / "hippocampus_001.nii.gz")
    again = io.read(tmp_path / "out" / "images" / "hippocampus_001.nii.gz")
    assert again.grid.is_close(image.grid)  # it was in RAS order
    np.testing.assert_array_equal(again.data, image.data)


def test_lits_without_labels_is_test_and_cut_by_thresholds(tmp_path):
    standins.lits(tmp_path / "in")
    ct, labels = trunk()
    io.write(stored(ct, STORAGE_ORDERS[30]), tmp_path / "in" / "test-volume-3.nii")
    ready = prepare(download_named("lits"), tmp_path / "in", out=tmp_path / "out")
    assert ready.splits["lits-test-3"] == "test"
    case = {case.name: case for case in read_manifest(ready.manifest)}["lits-test-3"]
    assert case.labels is None
    cut = io.read(case.image).grid
    on_cut = Affine.identity().resample(labels, onto=cut).data
    assert (on_cut == 1).sum() == (labels.data == 1).sum()
    assert np.prod(cut.shape) < 0.5 * np.prod(ct.grid.shape)


def test_real_abdomen_in_the_layout_of_lits(shared_data, tmp_path):
    origin = shared_data / "abdomen_ct"
    (tmp_path / "in").mkdir()
    for name, file in (
        ("volume-0", "images/chaos_ct_sample"),
        ("segmentation-0", "labels/chaos_ct_sample_liver"),
    ):
        path = tmp_path / "in" / f"{name}.nii.gz"
        path.symlink_to(origin / f"{file}.nii.gz")
    prepare(download_named("lits"), tmp_path / "in", out=tmp_path / "out")
    labels = io.read_labels(tmp_path / "out" / "labels" / "lits-0.nii.gz")
    stored_labels = io.read_labels(origin / "labels" / "chaos_ct_sample_liver.nii.gz")
    assert labels.grid.axcodes == "RAS"
    assert (labels.data > 0).sum() == (stored_labels.data > 0).sum()
    assert np.prod(labels.grid.shape) < np.prod(stored_labels.grid.shape) / 3
