"""Comparisons of cases whose label files number their structures differently."""

import numpy as np
import pytest

from support.dicom import AXIAL, PATIENT, write_series, write_structure_set
from voltween.cohorts import read_manifest
from voltween.evaluation import (
    EvaluationProtocol,
    evaluate,
    method_named,
    write_report,
)
from voltween.storage import read_table

SQUARE = np.array([(0, 0), (0, 5), (5, 5), (5, 0)])
PLACES = {"Liver": (2, 2), "Lung": (10, 2), "Heart": (2, 10)}


@pytest.fixture(name="manifest")
def manifest_fixture(tmp_path):
    """Two scans alike, with the same structures in another order."""
    voxels = np.random.default_rng(0).integers(0, 900, (20, 18, 8), np.uint16)
    orders = {"a": ("Liver", "Lung"), "b": ("Heart", "LUNG", "Liver")}
    for n, (name, order) in enumerate(orders.items()):
        fields = {**PATIENT, "PixelSpacing": [1, 1], "SeriesDescription": name}
        fields["ImageOrientationPatient"] = list(AXIAL)
        write_series(tmp_path / name / "scan", voxels + n, **fields)
        structures = {
            structure: [
                np.column_stack([SQUARE + PLACES[structure.title()], np.full(4, z)])
                for z in (4.0, 6.0, 8.0)
            ]
            for structure in order
        }
        write_structure_set(tmp_path / name / "set.dcm", structures)
    rows = [f"{name},{name}/scan,{name}/set.dcm,val" for name in orders]
    path = tmp_path / "cases.csv"
    path.write_text("\n".join(["case,image,labels,split", *rows]))
    return path


def test_structures_are_compared_by_name(manifest, tmp_path):
    pairs, out = [("a", "b"), ("b", "a")], tmp_path / "out"
    method = method_named("identity")
    scores = evaluate([method], read_manifest(manifest), pairs=pairs, out=out)
    there, back = scores.pairs
    assert (there.dice, there.structures) == (back.dice, back.structures) == (1, 2)
    assert there.note == "not in fixed: 3 (Heart)"
    write_report(scores, out)
    rows = read_table(out / "structures.csv", "scores", ("label", "structure")).rows
    found = [
        (row["fixed"], row["label"], row["structure"], row["dice"]) for row in rows
    ]
    assert found == [
        *(("a", "1", "Liver", "1.0"), ("a", "2", "Lung", "1.0")),
        *(("a", "3", "Heart", ""), ("b", "1", "Liver", "1.0")),
        *(("b", "2", "LUNG", "1.0"), ("b", "3", "Heart", "")),
    ]
    summary = read_table(out / "summary_structures.csv", "means", ("structure",)).rows
    assert [row["structure"] for row in summary] == ["Liver", "Lung", "Heart"]


@pytest.mark.filterwarnings("ignore::voltween.errors.SuspiciousInputWarning")
def test_reports_name_structures(manifest, tmp_path):
    method, protocol = method_named("identity"), EvaluationProtocol(reports="all")
    run = {"pairs": [("a", "b")], "out": tmp_path / "out", "protocol": protocol}
    evaluate([method], read_manifest(manifest), **run)
    (page,) = (tmp_path / "out" / "reports").rglob("*.html")
    assert "Liver" in page.read_text("utf-8")


def test_other_numbers_are_measured_again(manifest, tmp_path):
    method, out = method_named("identity"), tmp_path / "out"
    cases, pairs = read_manifest(manifest), [("a", "b")]
    evaluate([method], cases, pairs=pairs, out=out)
    (record,) = (out / "finished").rglob("*.json")
    before = record.stat().st_mtime_ns
    evaluate([method], cases, pairs=pairs, out=out)
    assert record.stat().st_mtime_ns == before
    reordered = manifest.read_text().splitlines()
    manifest.write_text("\n".join([reordered[0], *reversed(reordered[1:])]))
    scores = evaluate([method], read_manifest(manifest), pairs=pairs, out=out)
    assert {s.label: s.structure for s in scores.structures} == {
        1: "Heart",
        2: "Lung",
        3: "Liver",
    }
