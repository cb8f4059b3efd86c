"""The package's readers, each as a function from a path to arrays by name.

A reading of things without numbers is their text. What the package promises of all that
it reads is checked here: numbers are finite, and nothing is left out.
"""

import csv
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

_PROBES_MM = np.random.default_rng(3).uniform(-45, 45, (60, 3))
_FACTS = {"a": 1, "sources": []}


class BrokenPromiseError(Exception):
    """The package read what it should have refused."""


def text(thing):
    """A reading of anything by its text."""
    return {"text": np.frombuffer(repr(thing).encode(), np.uint8)}


def image(path):
    """Voxels and affine of an image."""
    from voltween.io import read

    return _volume(read(path))


def labels(path):
    """Voxels and affine of a label map."""
    from voltween.io import read_labels

    return _volume(read_labels(path))


def transform(path):
    """Vectors and affine of a field; else the images of some points."""
    from voltween.io import read_transform
    from voltween.spatial import DisplacementField, Points

    read = read_transform(path)
    if isinstance(read, DisplacementField):
        return _finite({"voxels": read.vectors_mm, "affine": read.grid.affine})
    return _finite({"mapped": read.map_points(Points(_PROBES_MM)).mm})


def probes_mm():
    """The points that transforms map, RAS+ mm."""
    return _PROBES_MM


def points(path):
    """Positions and names of points."""
    from voltween.io import read_points

    read = read_points(path)
    stored = _count_points(path)
    if stored is not None and stored != len(read.mm):
        raise BrokenPromiseError(f"{len(read.mm)} points of {stored} in the file")
    return _finite({"mm": read.mm}) | text(read.names)


def _count_points(path):
    """The number of points in a file of plain structure; None for any other."""
    try:
        content = path.read_text(encoding="utf-8-sig")
        if path.name.endswith(".json"):
            groups = [m["controlPoints"] for m in json.loads(content)["markups"]]
            return sum(map(len, groups))
        rows = list(csv.reader(content.splitlines()))
        rows = [row for row in rows if any(cell.strip() for cell in row)]
        if path.suffix == ".fcsv":
            return sum(not row[0].startswith("#") for row in rows)
        return len(rows) - 1
    except Exception:  # no plain structure: there is nothing to compare with
        return None


def manifest(path):
    """The cases of a manifest."""
    from voltween.cohorts import read_manifest

    cases = [asdict(case) for case in read_manifest(path)]
    return text([{k: getattr(v, "name", v) for k, v in c.items()} for c in cases])


def pairs(path):
    """The pairs of a list."""
    from voltween.cohorts import read_pairs

    return text(read_pairs(path))


def splits(path):
    """The splits of a list."""
    from voltween.cohorts.name_files import read_splits

    return text(read_splits(path))


def structures(path):
    """The names of structures."""
    from voltween.cohorts import read_structures

    return text(read_structures(path))


def names(path):
    """The names of cases in a list."""
    from voltween.cohorts.name_files import read_names

    return text(read_names(path))


def record(folder):
    """The scores of a record; None if it counts as not finished."""
    from voltween.evaluation.records import Records

    read = Records(folder).read("identity", ("one", "two"))
    return read and text(read)


def methods(folder):
    """The names of methods in a comparison."""
    from voltween.evaluation.comparison_folder import ComparisonFolder

    return text(ComparisonFolder.at(folder).names)


def finished(folder):
    """The record of a prepared case; None if it counts as not finished."""
    from voltween.cohorts.finished_cases import find_finished

    read = find_finished(folder, "anna", _FACTS)
    return read and text(read)


def choices(folder):
    """The options of the last preparation."""
    from voltween.cohorts.choices import read_choices

    return text(read_choices(folder, "folder"))


def log(folder):
    """The rows that are kept when a run goes on."""
    from voltween.training.run_folder import LOG, Progress, RunFolder

    RunFolder(folder, {}, 1).begin(Progress(2), {})
    return text((folder / LOG).read_bytes())


def model(path):
    """The weights and settings of a model."""
    from voltween.models import load_model

    read = load_model(path)
    weights = read.network.state_dict()
    flat = {name: tensor.numpy() for name, tensor in weights.items()}
    return _finite(flat) | text((read.preprocessing, read.provenance))


def plan(path):
    """The settings in a plan."""
    from voltween.training import read_plan

    read = read_plan(path)
    return text((read.manifest.name, read.recipe))


def table(path):
    """The rows of a table of the paper."""
    from voltween.evaluation import read_experiment

    return text(read_experiment(path))


def write_pairs(folder):
    """Writes a list of pairs."""
    return _write(folder / "pairs.csv", "fixed,moving\na,b\nb,c\nc,a\n")


def write_splits(folder):
    """Writes a list of splits."""
    return _write(folder / "splits.csv", "case,split\na,train\nb,val\nc,test\n")


def write_structures(folder):
    """Writes the names of structures."""
    return _write(folder / "structures.csv", "label,name\n1,left\n2,right\n700,stem\n")


def write_names(folder):
    """Writes a list of cases."""
    return _write(folder / "only.txt", "# these\nanna\nben\n\ncarl\n")


def write_record(folder):
    """Writes the record of a pair."""
    from voltween.evaluation import PairScore
    from voltween.evaluation.records import Record, Records
    from voltween.evaluation.scores import StageScore, StructureScore

    pair = {"method": "identity", "fixed": "one", "moving": "two"}
    stage = StageScore(**pair, stage="affine", dice=0.1, iou=0.1, folding_percent=0.0)
    scores = Record(
        PairScore(**pair, dice=0.5, structures=2, note="not in fixed: 3"),
        (StructureScore(**pair, label=3, dice=0.25),),
        (stage,),
    )
    Records(folder).keep(scores, {"weights": "abc"})
    return "."


def write_methods(folder):
    """Writes the names of methods."""
    names = {"ADD": "ADD-share-0.5", "ANTs": "ants"}
    _write(folder / "methods.json", json.dumps(names))
    return "."


def write_finished(folder):
    """Writes the record of a prepared case with one file."""
    from voltween.storage import Store

    with Store(folder, "finished").making(_FACTS, name="anna") as draft:
        draft.path("images/anna.nii.gz").write_bytes(b"12345")
        draft.values.update(
            files={"image": "images/anna.nii.gz"},
            log={"case": "anna"},
            made="2026-01-01",
            voltween="0.1",
        )
    return "."


def write_choices(folder):
    """Writes the options of a preparation."""
    from voltween.cohorts.choices import Choices, write_choices

    write_choices(Choices("folder", region="none", splits={"a": "val"}), folder)
    return "."


def write_log(folder):
    """Writes the losses of three steps."""
    return _write(folder / "log.csv", "step,loss\n1,0.5\n2,0.25\n3,0.125\n") and "."


def write_model(folder):
    """Writes a small model with float32 weights."""
    from voltween.models import Model, save_model
    from voltween.networks import CascadeConfig, build
    from voltween.preprocessing import Preprocessing

    network = build(CascadeConfig("D", (16, 16, 16), channels=1))
    preprocessing = Preprocessing((16, 16, 16), (1.5, 1.5, 1.5))
    small = Model("small", network.eval(), preprocessing, {"data": "none"})
    return save_model(small, folder / "m.safetensors", is_half=False).name


def write_plan(folder):
    """Writes a training plan."""
    from voltween.networks import CascadeConfig
    from voltween.preprocessing import Preprocessing
    from voltween.training import write_plan
    from voltween.training.plan_file import TrainingPlan

    shape = (64, 64, 64)
    preprocessing = Preprocessing(shape, (1.5, 1.5, 1.5))
    plan = TrainingPlan(Path("cases.csv"), preprocessing, CascadeConfig("ADD", shape))
    return write_plan(plan, folder / "plan.toml").name


def write_table(folder):
    """Writes a table of the paper."""
    from voltween.evaluation.paper.table_file import TABLES

    return _write(folder / "table.toml", (TABLES / "table_4.toml").read_text("utf-8"))


def _write(path, content):
    path.write_text(content)
    return path.name


def _volume(volume):
    return _finite({"voxels": volume.data, "affine": volume.grid.affine})


def _finite(arrays):
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise BrokenPromiseError(f"{name} with NaN or infinity")
    return arrays
