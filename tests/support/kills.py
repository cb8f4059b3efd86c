"""Commands to be killed at random moments: what they need, and what they must leave."""

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from support.cohorts import write_cohort
from support.commands import run_here, write_pair
from support.scans import tiny_model
from support.training import assert_equal
from voltween import io
from voltween.models import save_model
from voltween.storage import Store

RESULT = ("registration.json", "moved.nii.gz", "fixed_to_moving.h5")


def prepare_inputs(folder):
    """Writes a pair of scans, two models and a cohort to a folder; returns it."""
    write_pair(folder)
    save_model(tiny_model(strength=0.02), folder / "other.safetensors")
    (folder / "cohort").mkdir()
    write_cohort(folder / "cohort", train=3, val=2)
    return folder


@dataclass(frozen=True)
class Killable:
    """A command on the inputs of a folder."""

    inputs: Path

    def begin(self, out):
        """Puts into the folder what is there before the command runs."""

    def words(self, out):
        """The words of the command that writes to a folder."""
        raise NotImplementedError

    def check_left(self, out, done):
        """Checks what a kill left; `done` is the folder of a command that ended."""

    def check_done(self, out, done):
        """Checks that a command repeated after a kill made what one run makes."""
        raise NotImplementedError


class Register(Killable):
    """A registration in a folder with the result of another model."""

    def begin(self, out):
        former = self.inputs / "former"
        if not former.exists():
            assert run_here(*self._words(former, "other")) == 0
        shutil.copytree(former, out)
        (out / "notes.txt").write_text("mine")

    def words(self, out):
        return self._words(out, "tiny")

    def _words(self, out, model):
        pair = [self.inputs / name for name in ("fixed.nii.gz", "moving.nrrd")]
        model = ["--model", self.inputs / f"{model}.safetensors", "--refine", "none"]
        outputs = ["--outputs", "moved,transform"]
        return ["register", *pair, *model, *outputs, "--out", out]

    def check_left(self, out, done):
        former = self.inputs / "former"
        is_new = facts(out)["model_sha256"] == facts(done)["model_sha256"]
        self.check_done(out, done if is_new else former)

    def check_done(self, out, done):
        assert {path.name for path in out.iterdir()} == {*RESULT, "notes.txt"}
        assert (out / "notes.txt").read_text("utf-8") == "mine"
        assert facts(out)["model_sha256"] == facts(done)["model_sha256"]
        assert facts(out)["correlation"] == facts(done)["correlation"]
        moved, expected = (io.read(path / "moved.nii.gz") for path in (out, done))
        assert np.array_equal(moved.data, expected.data)
        transforms = (io.read_transform(path / RESULT[-1]) for path in (out, done))
        one, other = (t.to_field(moved.grid).vectors_mm for t in transforms)
        assert np.array_equal(one, other)


class Train(Killable):
    """A training of a tiny cascade, resumed after the kill."""

    def words(self, out):
        grid = ["--shape", 16, 16, 16, "--spacing-mm", 2.5, 2.5, 2.5]
        network = ["--cascade", "AD", "--channels", 2]
        steps = ["--steps", 6, "--validate-every", 3, "--validation-pairs", 2]
        manifest = self.inputs / "cohort" / "cases.csv"
        return ["train", manifest, *grid, *network, *steps, "--out", out]

    def check_done(self, out, done):
        for name in ("state-00000006.safetensors", "best.safetensors"):
            assert_equal(out / name, done / name)
        for name in ("log.csv", "validation.csv"):
            assert (out / name).read_text("utf-8") == (done / name).read_text("utf-8")


class Compare(Killable):
    """A comparison of two methods, continued after the kill."""

    def words(self, out):
        manifest = self.inputs / "cohort" / "cases.csv"
        methods = ["--methods", f"centres,model:{self.inputs / 'tiny.safetensors'}"]
        return ["compare", manifest, *methods, "--split", "val", "--out", out]

    def check_done(self, out, done):
        assert scores(out) == scores(done)
        assert (out / "summary.md").exists()


class Cohort(Killable):
    """All cases of a manifest to one of them, continued after the kill."""

    def words(self, out):
        manifest = self.inputs / "cohort" / "cases.csv"
        model = ["--model", self.inputs / "tiny.safetensors", "--refine", "none"]
        outputs = ["--outputs", "moved,transform"]
        return ["cohort", manifest, "--fixed", "case0", *model, *outputs, "--out", out]

    def check_left(self, out, done):
        for record in (out / "records").glob("*.json"):
            pair = Store(out, "records").read(record.stem)
            assert pair is None or pair.is_undamaged()

    def check_done(self, out, done):
        for path in (path for path in (done / "cases").rglob("*") if path.is_file()):
            if path.name != "registration.json":  # it has times
                other = out / path.relative_to(done)
                assert other.read_bytes() == path.read_bytes()
        names = [{p.name for p in folder.rglob("*")} for folder in (out, done)]
        assert names[0] == names[1]
        assert "missing" not in (out / "pairs.csv").read_text("utf-8")


def facts(folder):
    """The content of registration.json."""
    return json.loads((folder / "registration.json").read_text("utf-8"))


def scores(folder):
    """The rows of a comparison without what its time and memory were."""
    with (folder / "pairs.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    used = ("seconds", "memory")
    return [
        {name: row[name] for name in row if not any(word in name for word in used)}
        for row in rows
    ]


KILLABLE = (Register, Train, Compare, Cohort)
