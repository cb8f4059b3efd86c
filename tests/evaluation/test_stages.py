"""The stages of a compared pair, registered again."""

import json
from dataclasses import replace

import numpy as np
import pytest

from support.scans import FIXED, MOVING, label_blocks, tiny_model
from voltween import io
from voltween.cohorts import read_manifest
from voltween.errors import InputError
from voltween.evaluation import PairScore, read_compared_pair
from voltween.evaluation.comparison import MethodResult
from voltween.evaluation.comparison_folder import METHOD_NAMES_FILE
from voltween.evaluation.pair_figures import stages_figure
from voltween.evaluation.records import Record, Records, kept_transform
from voltween.evaluation.stages import register_stages
from voltween.metrics import dice_per_label, iou_from_dice
from voltween.models import load_model, save_model
from voltween.registration import register_by_network
from voltween.spatial import Affine

PAIR = ("one", "other")


@pytest.fixture(name="kept")
def kept_fixture(tmp_path):
    """Folder of an experiment with a trained network and its registered pair."""
    lines = ["case,image,labels,split"]
    for name, scan in zip(PAIR, (FIXED, MOVING), strict=True):
        io.write(scan, tmp_path / f"{name}.nii.gz")
        io.write(label_blocks(scan.grid), tmp_path / f"{name}_labels.nii.gz")
        lines.append(f"{name},{name}.nii.gz,{name}_labels.nii.gz,val")
    (tmp_path / "cases.csv").write_text("\n".join(lines))
    out = tmp_path / "small"
    trained = out / "trained" / "ADD"
    trained.mkdir(parents=True)
    save_model(tiny_model("ADD", strength=0.05), trained / "best.safetensors")
    return out


def keep_pair(out, method):
    """Registers the pair by the trained network and keeps it as this method's."""
    model = load_model(out / "trained" / "ADD" / "best.safetensors")
    scans = [io.read(out.parent / f"{name}.nii.gz") for name in PAIR]
    registration = register_by_network(*scans, model)
    Records(out).keep(
        Record(PairScore(method=method, fixed=PAIR[0], moving=PAIR[1], iou=0.5)), {}
    )
    path = kept_transform(out, method, PAIR)
    path.parent.mkdir(parents=True)
    io.write(registration.fixed_to_moving, path)
    return registration


def table_of(out, row, method):
    """The folder of a table with one row."""
    folder = out / "table_4"
    folder.mkdir()
    (folder / "pairs.csv").write_text(
        f"method,fixed,moving,status\n{row},{','.join(PAIR)},ok\n"
    )
    (folder / METHOD_NAMES_FILE).write_text(json.dumps({row: method}))
    return folder, read_compared_pair(folder, read_manifest(out.parent / "cases.csv"))


def test_stages_of_a_row_are_those_of_its_trained_network_without_the_start(kept):
    registration = keep_pair(kept, "ADD")
    folder, pair = table_of(kept, "VTN ADD", "ADD")
    stages = register_stages(folder, pair, "VTN ADD")
    assert list(stages) == ["affine", "dense 1", "dense 2"]
    points = FIXED.grid.voxel_to_world(np.array([[3.0, 4.0, 5.0], [9.0, 8.0, 7.0]]))
    for name, transform in stages.items():
        expected = registration.tweening[name].map_positions(points)
        np.testing.assert_allclose(transform.map_positions(points), expected, atol=0.01)


def test_the_figure_has_a_pair_of_columns_per_stage_with_its_overlap(kept):
    registration = keep_pair(kept, "ADD")
    folder, pair = table_of(kept, "VTN ADD", "ADD")
    axes = stages_figure(folder, pair, structures=(1,)).axes
    titles = [panel.get_title() for panel in axes[:8]]
    stages = [f"after {name}" for name in ("affine", "dense 1", "dense 2")]
    assert titles[:2] == ["fixed", "moving"]
    assert titles[2::2] == stages
    assert titles[3::2] == ["masks"] * 3
    labels = pair.fixed.labels
    for panel, name in zip(axes[3::2], ("affine", "dense 1", "dense 2"), strict=False):
        moved = registration.tweening[name].resample(
            pair.moving.labels, onto=labels.grid
        )
        iou = iou_from_dice(dice_per_label(labels.data, moved.data)[1])
        assert panel.get_xlabel() == f"IoU {iou:.3f}"


def test_a_model_of_a_comparison_is_found_by_its_name(kept):
    name = f"model:{kept / 'trained' / 'ADD' / 'best.safetensors'}"
    keep_pair(kept, name)
    folder, pair = table_of(kept, name, name)
    assert list(register_stages(folder, pair, name)) == ["affine", "dense 1", "dense 2"]


@pytest.mark.parametrize("method", ["identity", "ADD-aligned", "nobody"])
def test_methods_without_stages_and_on_aligned_scans_are_refused(kept, method):
    keep_pair(kept, method)
    source, target = (kept / "trained" / name for name in ("ADD", "ADD-aligned"))
    source.rename(target)
    folder, pair = table_of(kept, "row", method)
    with pytest.raises(InputError, match=r"--method: .* as they are .* got 'row'"):
        register_stages(folder, pair, "row")


def test_another_model_than_the_compared_one_is_refused(kept):
    keep_pair(kept, "ADD")
    folder, pair = table_of(kept, "row", "ADD")
    shift = np.eye(4)
    shift[0, 3] = 9.0
    other = MethodResult(Affine(shift), pair.methods["row"].record)
    with pytest.raises(InputError, match=r"differs from the kept one by \d"):
        register_stages(folder, replace(pair, methods={"row": other}), "row")
