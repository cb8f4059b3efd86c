"""Comparisons: pairs registered by methods, measured, kept and continued."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest

from support.cohorts import write_cohort
from support.scans import tiny_model
from voltween import io
from voltween.baselines import TOOLS
from voltween.cohorts import ordered_pairs, read_manifest
from voltween.errors import InputError, OutputError, SuspiciousInputWarning
from voltween.evaluation import (
    EvaluationProtocol,
    Method,
    evaluate,
    method_named,
    write_report,
)
from voltween.evaluation.method_names import centers, identity
from voltween.evaluation.methods import Answer, plain_method
from voltween.evaluation.voxelmorph import voxelmorph_method
from voltween.metrics import dice_per_label
from voltween.models import save_model
from voltween.registration import Criterion, judge_transform, register_by_network
from voltween.spatial import Affine, DisplacementField, Grid, LabelMap, Points

# The identity and other transforms of these tests leave no overlap.
pytestmark = pytest.mark.filterwarnings(
    "ignore::voltween.errors.SuspiciousInputWarning"
)


@pytest.fixture(name="cases")
def cases_fixture(tmp_path):
    (tmp_path / "cohort").mkdir()
    return read_manifest(write_cohort(tmp_path / "cohort", 1, 2))


@pytest.fixture(name="counted")
def counted_fixture():
    """A method, and the pairs it was really asked for."""
    asked = []

    def answer(fixed, moving):
        asked.append((fixed, moving))
        return Answer(centers(fixed, moving))

    return Method("counted", lambda: answer, {"version": "1"}), asked


def test_the_index_shows_a_picture_of_every_registered_pair(cases, tmp_path, counted):
    (method, _), out = counted, tmp_path / "out"

    def fail(fixed, moving):
        raise InputError(about="moving", expected="a head", got="a hand")

    failing = Method("failing", lambda: fail)
    pairs = [(cases[0].name, case.name) for case in cases[1:]]
    scores = evaluate([method, failing], cases, pairs=pairs, out=out)
    write_report(scores, out)
    page = (out / "index.html").read_text("utf-8")
    for fixed, moving in pairs:
        assert f'src="thumbnails/counted/{fixed}--{moving}.webp"' in page
    assert page.count("<img") == 2
    assert (out / f"thumbnails/counted/{'--'.join(pairs[0])}.webp").is_file()


def test_scores_are_those_of_the_registration(cases, tmp_path):
    model = tiny_model(strength=0.2)
    file = save_model(model, tmp_path / "tiny.safetensors", is_half=False)
    fixed, moving = cases[1], cases[2]
    method = method_named(f"model:{file}")
    pairs = [(fixed.name, moving.name)]
    found = evaluate([method], cases, pairs=pairs, out=tmp_path / "out")
    registration = register_by_network(
        io.read(fixed.image), io.read(moving.image), model
    )
    labels = io.read_labels(moving.labels)
    grid = registration.fixed.grid
    transform = registration.fixed_to_moving
    moved = transform.resample(labels, onto=grid)
    dice = dice_per_label(io.read_labels(fixed.labels).data, moved.data)
    (score,) = found.pairs
    assert score.status == "ok"
    assert score.structures == 2
    assert score.dice == pytest.approx(np.mean([dice[1], dice[2]]), abs=1e-3)
    folding = transform.to_field(grid).folding_percent()
    assert score.folding_percent == pytest.approx(folding, abs=0.1)
    assert 0 < score.seconds < 60
    assert score.threads == 1
    assert score.loading_seconds > 0
    by_label = {s.label: s for s in found.structures}
    assert by_label[1].iou == pytest.approx(dice[1] / (2 - dice[1]), abs=1e-3)
    assert [stage.stage for stage in found.stages] == [
        "before",
        "affine",
        "dense 1",
        "dense 2",
    ]
    before = registration.dice(io.read_labels(fixed.labels), labels)["before"]
    assert found.stages[0].dice == pytest.approx(np.mean(list(before.values())))
    assert found.stages[-1].dice == pytest.approx(score.dice)


def test_the_last_stage_is_measured_once(cases, tmp_path, monkeypatch):
    asked = []

    def measure(fixed, moved):
        asked.append(moved)
        return dice_per_label(fixed, moved)

    def answer(fixed, moving):
        last = centers(fixed, moving)
        return Answer(last, {"before": Affine.identity(), "affine": last})

    monkeypatch.setattr("voltween.evaluation.measurement.dice_per_label", measure)
    scores = evaluate(
        [Method("staged", lambda: answer)],
        cases,
        pairs=[(cases[0].name, cases[1].name)],
        out=tmp_path / "out",
    )
    assert len(asked) == 2
    before, affine = scores.stages
    assert affine.dice == scores.pairs[0].dice != before.dice


def test_finished_pairs_are_not_registered_again(cases, counted, tmp_path):
    method, asked = counted
    pairs = ordered_pairs([case.name for case in cases])
    first = evaluate([method], cases, pairs=pairs[:2], out=tmp_path / "out")
    assert len(asked) == 2
    both = evaluate([method], cases, pairs=pairs[:4], out=tmp_path / "out")
    assert len(asked) == 4
    assert str(both.pairs[:2]) == str(first.pairs)  # NaN is not equal to itself
    newer = replace(method, facts={"version": "2"})
    evaluate([newer], cases, pairs=pairs[:1], out=tmp_path / "out")
    assert len(asked) == 5


def test_changed_scans_are_measured_anew(cases, counted, tmp_path):
    method, asked = counted
    pairs = [(cases[0].name, cases[1].name)]
    evaluate([method], cases, pairs=pairs, out=tmp_path / "out")
    labels = io.read_labels(cases[0].labels)
    io.write(LabelMap(labels.data * 0 + 1, labels.grid), cases[0].labels)
    evaluate([method], cases, pairs=pairs, out=tmp_path / "out")
    assert len(asked) == 2


def test_kept_transforms_are_measured_instead(cases, counted, tmp_path):
    method, asked = counted
    out, pairs = tmp_path / "out", [(cases[0].name, cases[1].name)]
    protocol = EvaluationProtocol(keep_transforms=True)
    first = evaluate([method], cases, pairs=pairs, out=out, protocol=protocol)
    (file,) = (out / "transforms" / "counted").glob("*.h5")
    assert isinstance(io.read_transform(file), Affine)
    for record in (out / "finished").rglob("*.json"):
        record.unlink()
    again = evaluate([method], cases, pairs=pairs, out=out, protocol=protocol)
    assert len(asked) == 1
    assert str(again) == str(first)


def test_a_kept_transform_with_another_content_is_not_measured(
    cases, counted, tmp_path
):
    method, asked = counted
    run = {
        "pairs": [(cases[0].name, cases[1].name)],
        "out": tmp_path / "out",
        "protocol": EvaluationProtocol(keep_transforms=True),
    }
    first = evaluate([method], cases, **run)
    shutil.rmtree(tmp_path / "out" / "finished")
    (file,) = (tmp_path / "out" / "transforms" / "counted").glob("*.h5")
    io.write(Affine(np.diag([2.0, 2, 2, 1])), file)
    again = evaluate([method], cases, **run)
    assert len(asked) == 2
    assert again.pairs[0].dice == first.pairs[0].dice


def test_a_transform_kept_by_an_earlier_version_is_measured(cases, counted, tmp_path):
    method, asked = counted
    run = {
        "pairs": [(cases[0].name, cases[1].name)],
        "out": tmp_path / "out",
        "protocol": EvaluationProtocol(keep_transforms=True),
    }
    first = evaluate([method], cases, **run)
    shutil.rmtree(tmp_path / "out" / "finished")
    (record,) = (tmp_path / "out" / "transforms" / "counted").glob("*.json")
    stored = json.loads(record.read_text("utf-8"))
    record.write_text(json.dumps({key: stored[key] for key in ("facts", "figures")}))
    assert str(evaluate([method], cases, **run)) == str(first)
    assert len(asked) == 1


def test_a_transform_that_cannot_be_kept_ends_the_run(
    cases, counted, tmp_path, monkeypatch
):
    def full(path, needed_bytes):
        raise OutputError(about=path, expected="space", got="none", advice="make room")

    monkeypatch.setattr("voltween.io.writing.check_free_space", full)
    method, asked = counted
    pairs = ordered_pairs([case.name for case in cases])
    protocol = EvaluationProtocol(keep_transforms=True)
    with pytest.raises(OutputError, match="make room"):
        evaluate([method], cases, pairs=pairs, out=tmp_path / "out", protocol=protocol)
    assert len(asked) == 1  # not hours of other pairs, each for nothing


def test_a_failing_pair_is_recorded_and_the_rest_goes_on(cases, tmp_path):
    calls = []

    def answer(fixed, moving):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("ITK gave up\nat length")
        return Answer(identity(fixed, moving))

    method = Method("frail", lambda: answer)
    pairs = ordered_pairs([case.name for case in cases])[:2]
    found = evaluate([method], cases, pairs=pairs, out=tmp_path / "out")
    assert [score.status for score in found.pairs] == ["failed", "ok"]
    assert found.pairs[0].note == "RuntimeError: ITK gave up"
    assert math.isnan(found.pairs[0].dice)
    assert math.isnan(found.pairs[0].seconds)
    again = evaluate([method], cases, pairs=pairs, out=tmp_path / "out")
    assert [score.status for score in again.pairs] == ["ok", "ok"]
    assert len(calls) == 3


def test_a_method_that_cannot_run_has_marked_rows(cases, tmp_path):
    def load():
        raise InputError(expected="the tool", got="none")

    method = Method("absent", load)
    pairs = ordered_pairs([case.name for case in cases])[:2]
    found = evaluate(
        [method, method_named("identity")], cases, pairs=pairs, out=tmp_path / "out"
    )
    assert [s.status for s in found.pairs] == ["unavailable"] * 2 + ["ok"] * 2
    assert found.pairs[0].note == "expected the tool, got none"
    assert math.isnan(found.pairs[0].iou)


def test_there_and_back_of_rigid_maps_misses_by_nothing(cases, tmp_path):
    found = evaluate(
        [method_named("centres")],
        cases,
        pairs=[(cases[0].name, cases[1].name)],
        out=tmp_path / "out",
        protocol=EvaluationProtocol(inverse_consistency=True),
    )
    assert found.pairs[0].inverse_consistency_mm == pytest.approx(0, abs=1e-6)


def test_scans_without_labels_are_measured_without_overlap(cases, tmp_path):
    bare = replace(cases[0], labels=None)
    found = evaluate(
        [method_named("identity")],
        [bare, cases[1]],
        pairs=[(bare.name, cases[1].name)],
        out=tmp_path / "out",
    )
    (score,) = found.pairs
    assert score.status == "ok"
    assert score.note == "fixed has no labels"
    assert math.isnan(score.dice)
    assert score.folding_percent == 0
    assert found.structures == ()


def test_labels_of_one_scan_alone_are_noted(cases, tmp_path):
    fixed = io.read_labels(cases[0].labels)
    renamed = LabelMap(np.where(fixed.data == 2, 5, fixed.data), fixed.grid)
    io.write(renamed, cases[0].labels)
    found = evaluate(
        [method_named("centres")],
        cases,
        pairs=[(cases[0].name, cases[1].name)],
        out=tmp_path / "out",
    )
    (score,) = found.pairs
    assert score.structures == 1
    assert score.note == "not in fixed: 2; not in moving: 5"
    notes = {row.label: row.note for row in found.structures}
    assert notes == {1: "", 2: "not in fixed", 5: "not in moving"}
    by_label = {row.label: row for row in found.structures}
    assert score.dice == by_label[1].dice
    assert math.isnan(by_label[2].dice)


def test_a_structure_moved_out_of_sight_has_no_overlap(cases, tmp_path):
    far = np.eye(4)
    far[:3, 3] = 1e4
    method = Method("away", lambda: lambda fixed, moving: Answer(Affine(far)))
    pairs, out = [(cases[0].name, cases[1].name)], tmp_path / "out"
    with pytest.warns(SuspiciousInputWarning, match="a measured pair .*: none of 2"):
        found = evaluate([method], cases, pairs=pairs, out=out)
    assert [row.dice for row in found.structures] == [0, 0]
    assert all(math.isnan(row.hd95_mm) for row in found.structures)
    assert found.pairs[0].dice == 0
    note = "no structure overlaps; moved out of the fixed scan: 1, 2"
    assert found.pairs[0].note == note


def test_a_pair_whose_labels_lie_off_their_scan_is_a_failed_one(cases, tmp_path):
    labels = io.read_labels(cases[1].labels)
    affine = labels.grid.affine.copy()
    affine[:3, 3] += 300
    away = LabelMap(labels.data, Grid(labels.grid.shape, affine))
    io.write(away, cases[1].labels)
    found = evaluate(
        [method_named("centres")],
        cases,
        pairs=[(cases[0].name, cases[1].name)],
        out=tmp_path / "out",
    )
    assert found.pairs[0].status == "failed"
    assert "expected voxels > 0 on the scan, got none" in found.pairs[0].note


def with_points(cases, folder, *points_mm):
    """The first cases, each with its points."""
    for case, mm in zip(cases, points_mm, strict=False):
        path = io.write(Points(np.atleast_2d(mm)), folder / f"{case.name}.csv")
        yield replace(case, points=path)


def test_landmarks_are_measured_in_both_scans_and_in_voxels(cases, tmp_path):
    """By a transform of half the size: 3 mm in the moving scan, 6 in the fixed one."""
    start, half = io.read(cases[0].image).grid.center_mm, np.diag([0.5, 0.5, 0.5, 1])
    last = Affine(half)
    stages = {"before": Affine.identity(), "affine": last}
    pairs = [(cases[0].name, cases[1].name)]
    asked = []

    def answer(fixed, moving):
        asked.append(fixed)
        return Answer(last, stages)

    method = Method("half", lambda: answer)
    chosen = list(with_points(cases, tmp_path, start, start / 2 + [0, 3, 0]))
    found = evaluate([method], chosen, pairs=pairs, out=tmp_path / "out")
    (score,), (before, affine) = found.pairs, found.stages
    assert score.landmark_mm == pytest.approx(3, abs=1e-4)
    assert score.landmark_fixed_mm == pytest.approx(6, abs=1e-4)
    assert score.landmark_voxels == pytest.approx(3, abs=1e-4)  # of 2 mm
    assert affine.landmark_mm == score.landmark_mm
    assert affine.landmark_fixed_mm == score.landmark_fixed_mm
    assert affine.landmark_voxels == score.landmark_voxels
    distance_mm = np.linalg.norm(start / 2 - [0, 3, 0])
    assert before.landmark_mm == pytest.approx(distance_mm, abs=1e-4)
    assert before.landmark_fixed_mm == pytest.approx(distance_mm, abs=1e-4)
    protocol = EvaluationProtocol(landmark_voxel_mm=(1.0, 1.5, 4.0))
    of_size = {"pairs": pairs, "out": tmp_path / "out", "protocol": protocol}
    again = evaluate([method], chosen, **of_size)
    assert again.pairs[0].landmark_voxels == pytest.approx(4, abs=1e-4)  # of 1.5 mm
    assert again.stages[1].landmark_voxels == again.pairs[0].landmark_voxels
    assert len(asked) == 2  # a record of other voxels was not taken for this one
    evaluate([method], chosen, **of_size)
    assert len(asked) == 2


def test_landmarks_without_an_inverse_are_noted(cases, tmp_path):
    """A field that moves everything by 5 voxels maps nothing to the first five."""
    grid = io.read(cases[0].image).grid
    flow = np.zeros((3, *grid.shape))
    flow[0] = 5
    field = DisplacementField.from_flow(flow, grid)
    lost, found = grid.voxel_to_world(np.array([[2.0, 6, 6], [9, 6, 6]]))
    points = np.stack([lost, found])
    method = Method("torn", lambda: lambda fixed, moving: Answer(field))
    (score,) = evaluate(
        [method],
        list(with_points(cases, tmp_path, points, points)),
        pairs=[(cases[0].name, cases[1].name)],
        out=tmp_path / "out",
    ).pairs
    assert score.status == "ok"
    assert score.note.endswith("; no inverse at 1 of 2 landmarks")
    assert score.landmark_mm == pytest.approx(5 * grid.spacing_mm[0], abs=1e-3)
    assert score.landmark_fixed_mm == pytest.approx(5 * grid.spacing_mm[0], abs=1e-3)
    assert score.landmark_voxels == pytest.approx(5, abs=1e-3)


def test_the_union_of_all_structures_is_measured(cases, tmp_path):
    """Structures that changed places overlap in nothing, and their union in all."""
    labels = io.read_labels(cases[0].labels)
    changed = np.where(labels.data > 0, 3 - labels.data, 0)
    pair = cases[0], replace(cases[0], name="changed", labels=tmp_path / "l.nii.gz")
    io.write(LabelMap(changed, labels.grid), pair[1].labels)
    last = Affine.identity()
    method = Method("staged", lambda: lambda *pair: Answer(last, {"all": last}))
    scores = evaluate(
        [method], pair, pairs=[(cases[0].name, "changed")], out=tmp_path / "out"
    )
    (score,), (stage,) = scores.pairs, scores.stages
    assert (score.iou, score.iou_union) == (stage.iou, stage.iou_union) == (0, 1)
    assert score.inside_percent == 100


def test_measures_of_an_earlier_version_are_taken_anew_from_kept_transforms(
    cases, counted, tmp_path, monkeypatch
):
    method, asked = counted
    pairs = [(cases[0].name, cases[1].name)]
    keeping = {
        "out": tmp_path / "out",
        "protocol": EvaluationProtocol(keep_transforms=True),
    }
    with monkeypatch.context() as patch:
        patch.setattr("voltween.evaluation.records._FORMAT", 1)
        first = evaluate([method], cases, pairs=pairs, **keeping)
    (path,) = (tmp_path / "out" / "finished").rglob("*.json")
    old = json.loads(path.read_text("utf-8"))
    assert old["facts"].pop("format") == 1
    for name in ("iou_union", "landmark_fixed_mm", "inside_percent"):
        del old["pair"][name]
    path.write_text(json.dumps({**old, "facts": {"format": 1, **old["facts"]}}))
    again = evaluate([method], cases, pairs=pairs, **keeping)
    assert len(asked) == 1
    assert str(again) == str(first)


def test_bad_requests_are_refused(cases, tmp_path):
    method = method_named("identity")
    with pytest.raises(InputError, match="pairs: expected cases of the split, got x"):
        evaluate([method], cases, pairs=[("x", cases[0].name)], out=tmp_path)
    flat = EvaluationProtocol(landmark_voxel_mm=(1.0, 0.0, 1.0))
    with pytest.raises(InputError, match=r"sizes above 0 mm, got \(1.0, 0.0, 1.0\)"):
        evaluate([method], cases, pairs=[], out=tmp_path, protocol=flat)
    bare = [replace(case, labels=None) for case in cases]
    with pytest.raises(InputError, match="masking: expected labels"):
        evaluate(
            [method],
            bare,
            pairs=[],
            out=tmp_path,
            protocol=EvaluationProtocol(masked=True),
        )


@pytest.mark.parametrize("name", ["antz", "model", "models:brain"])
def test_unknown_methods_are_refused(name):
    with pytest.raises(InputError, match=f"got '{name}'"):
        method_named(name)


def test_a_device_that_is_not_there_makes_a_model_unavailable(cases, tmp_path):
    file = save_model(tiny_model(), tmp_path / "tiny.safetensors")
    method = method_named(f"model:{file}", device="cuda:99")
    pairs = [(cases[0].name, cases[1].name)]
    found = evaluate([method], cases, pairs=pairs, out=tmp_path / "out")
    assert found.pairs[0].status == "unavailable"
    assert "device 'cuda:99': expected a device that PyTorch" in found.pairs[0].note


def test_a_pair_that_is_listed_twice_is_registered_once(cases, counted, tmp_path):
    method, asked = counted
    pair = ordered_pairs([case.name for case in cases])[0]
    found = evaluate([method], cases, pairs=[pair, pair], out=tmp_path / "out")
    assert [score.status for score in found.pairs] == ["ok", "ok"]
    assert len(asked) == 1


def test_each_answer_has_the_verdict_of_its_transform(cases, tmp_path):
    fixed, moving = cases[1], cases[2]
    far = np.eye(4)
    far[:3, 3] = 500
    methods = [
        plain_method("still", lambda *_: Affine.identity()),
        plain_method("far", lambda *_: Affine(far)),
    ]
    still, lost = evaluate(
        methods,
        cases,
        pairs=[(fixed.name, moving.name)],
        out=tmp_path / "out",
    ).pairs
    scans = io.read(fixed.image), io.read(moving.image)
    verdict = judge_transform(*scans, Affine.identity(), Criterion())
    assert still.verdict == verdict.grade
    assert still.similarity == pytest.approx(verdict.evidence.similarity)
    assert lost.verdict == "failed"
    assert "0 % of the fixed scan's foreground" in lost.reasons


def test_a_missing_file_stops_the_pairs_of_its_case_alone(cases, counted, tmp_path):
    method, asked = counted
    cases[0].labels.unlink()
    names = [case.name for case in cases]
    pairs = ordered_pairs(names)
    found = evaluate([method], cases, pairs=pairs, out=tmp_path / "out")
    lost = [pair.status == "failed" for pair in found.pairs]
    assert lost == [names[0] in pair for pair in pairs]
    fault = f"{names[0]}: {cases[0].labels}: expected a file, got none of this name"
    assert fault in found.pairs[0].note
    assert len(asked) == 2


def test_a_pair_without_memory_is_a_failed_one(cases, tmp_path):
    def answer(fixed, moving):
        raise MemoryError

    method = Method("big", lambda: answer, {})
    pairs = [(cases[1].name, cases[2].name)]
    found = evaluate([method], cases, pairs=pairs, out=tmp_path / "out")
    assert "expected enough memory" in found.pairs[0].note


@pytest.mark.parametrize("text", ["[]", '{"facts": 5', '{"facts": {}, "figures": 3}'])
def test_damaged_facts_of_a_kept_transform_are_those_of_none(
    text, cases, counted, tmp_path
):
    method, asked = counted
    run = {
        "pairs": [(cases[1].name, cases[2].name)],
        "out": tmp_path / "out",
        "protocol": EvaluationProtocol(keep_transforms=True),
    }
    evaluate([method], cases, **run)
    for path in (tmp_path / "out").rglob("*.json"):
        path.write_text(text)
    assert evaluate([method], cases, **run).pairs[0].status == "ok"
    assert len(asked) == 2


def test_networks_alone_are_judged_by_answers_without_refinement(tmp_path):
    file = save_model(tiny_model(), tmp_path / "tiny.safetensors", is_half=False)
    assert method_named(f"model:{file}").criterion.refinement is None
    refined = method_named(f"model:{file}+fast").criterion
    assert refined.refinement.transform == "deformable"
    assert refined.facts == {}
    assert method_named("model:brain-any").criterion.facts == {"contrasts": "any"}
    cases = read_manifest(write_cohort(tmp_path, 2, 1))
    assert voxelmorph_method(cases, tmp_path).criterion.refinement is None


def test_tools_that_may_not_bend_are_judged_by_others_that_may_not():
    facts = {name: method_named(name).criterion.facts for name in TOOLS}
    assert facts.pop("ants-affine") == {"answer": "unbent"}
    assert not any(facts.values())
