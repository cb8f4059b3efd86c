"""An experiment on a tiny cohort: what it trains, measures and refuses."""

import json
from dataclasses import replace
from types import MappingProxyType

import pytest
import torch

from support.cohorts import write_cohort
from support.packages import hide_packages
from voltween.cli import main
from voltween.cohorts import read_manifest
from voltween.errors import InputError
from voltween.evaluation import (
    ExperimentRun,
    ExperimentSettings,
    read_experiment,
    run_experiment,
)
from voltween.evaluation.paper import experiment
from voltween.evaluation.paper.experiment import measured_cases, open_laboratory
from voltween.evaluation.paper.laboratory import Laboratory
from voltween.evaluation.paper.scales import SCALES
from voltween.evaluation.paper.table_file import TableRow
from voltween.models import load_model
from voltween.training import Augmentation, Hardware

CPU = Hardware("cpu")
TINY = ExperimentSettings(
    shape=(16, 16, 16),
    channels=2,
    steps=2,
    pairs_per_step=1,
    validate_every=2,
    voxelmorph_steps=2,
)


def write_table(folder, *rows, head='title = "Table"\n'):
    path = folder / "table.toml"
    path.write_text(head + "".join(f"[[row]]\n{row}\n" for row in rows))
    return path


@pytest.fixture(name="cohort", scope="module")
def cohort_fixture(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"), 4, 2, 2)


@pytest.fixture(name="plain")
def plain_fixture(monkeypatch):
    """No pictures and no augmentation."""
    hide_packages(monkeypatch, "matplotlib")
    training = replace(SCALES["small"].training, augmentation=Augmentation())
    scale = replace(SCALES["small"], training=training)
    monkeypatch.setattr(
        experiment, "SCALES", MappingProxyType({**SCALES, "small": scale})
    )


def lines_of(page):
    """Cells of the table by the name of the row, and its headings."""
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if "|" in line]
    cells = [line.split("|")[1:-1] for line in page.splitlines() if "|" in line]
    cells = [[cell.strip() for cell in row] for row in cells]
    assert len({len(row) for row in cells}) == 1, rows
    headings = cells[0]
    return {row[0]: dict(zip(headings, row, strict=True)) for row in cells[2:]}


@pytest.mark.filterwarnings("ignore:.*atplotlib")
@pytest.mark.usefixtures("plain")
def test_an_experiment_trains_compares_and_goes_on(cohort, tmp_path):
    table = read_experiment(
        write_table(
            tmp_path,
            'name = "nothing"\nmethod = "identity"\npaper = { iou = 0.25 }',
            'name = "VTN AD"\nnetwork = "AD"',
            'name = "half"\nnetwork = "AD"\ntrain_share = 0.5',
            'name = "elsewhere"\nnetwork = "AD"\ntrain = ["lits"]',
            head='title = "Table"\niou_union = true\n',
        )
    )
    run = ExperimentRun(settings=TINY, hardware=CPU, keep_transforms=True)
    out = tmp_path / "out"
    page = run_experiment(table, read_manifest(cohort), out=out, run=run)
    rows = lines_of(page)
    assert list(rows) == ["nothing", "VTN AD", "half", "elsewhere"]
    assert rows["nothing"]["paper: IoU"] == "0.25"
    assert "2 pairs of 2 `test` cases" in page
    first, *_ = [key for key in rows["half"] if key.startswith("IoU")]
    assert r"expected \`train\` cases of the cohorts lits" in rows["elsewhere"][first]
    assert 0 < float(rows["VTN AD"]["IoU of union"]) <= 1
    assert "s, GPU" not in rows["half"] or torch.cuda.is_available()
    folder = out / "small"
    best = folder / "trained" / "AD-share-0.5" / "best.safetensors"
    provenance = load_model(best).provenance
    assert (provenance["train_scans"], provenance["val_scans"]) == (2, 2)
    assert (folder / "table" / "table.md").read_text("utf-8").strip() == page
    names = json.loads((folder / "table" / "methods.json").read_text("utf-8"))
    assert names["half"] == "AD-share-0.5"
    assert (folder / "transforms" / "AD" / "case6--case7.h5").exists()
    before = best.stat().st_mtime_ns
    assert run_experiment(table, read_manifest(cohort), out=out, run=run) == page
    assert best.stat().st_mtime_ns == before


def test_a_cohort_without_test_cases_is_refused_with_the_way_out(tmp_path):
    cases = read_manifest(write_cohort(tmp_path, 2, 2))
    with pytest.raises(InputError, match=r"`test` cases.*got 0: .*voltween split"):
        measured_cases(cases, ExperimentSettings())
    chosen = measured_cases(cases, ExperimentSettings(split="val"))
    assert [case.name for case in chosen] == ["case2", "case3"]


def test_an_unlabeled_split_is_refused(cohort):
    cases = [replace(case, labels=None) for case in read_manifest(cohort)]
    with pytest.raises(
        InputError, match=r"labels or points .*neither for case6, case7"
    ):
        measured_cases(cases, ExperimentSettings())
    with_points = [replace(case, points=case.image) for case in cases]
    assert len(measured_cases(with_points, ExperimentSettings())) == 2


def laboratory(cohort, tmp_path, **changes):
    cases = read_manifest(cohort)
    return Laboratory(
        cases, SCALES["paper"].changed_by(TINY), tmp_path, cases[6:], **changes
    )


def test_target_pairs_are_at_most_all(cohort, tmp_path):
    row = TableRow("s", network="AD", supervised=True)
    training = laboratory(cohort, tmp_path).recipe(row).training
    assert training.target_pairs == 4 * 3  # of 100 asked for
    assert training.teacher == "ants"
    half = replace(row, train_share=0.5)
    assert laboratory(cohort, tmp_path).recipe(half).training.target_pairs == 2


def test_a_row_that_cannot_be_trained_is_a_method_that_says_why(cohort, tmp_path):
    row = TableRow("aligned", network="D", aligned=True)
    method, on_gpu = laboratory(cohort, tmp_path, atlas="nobody").methods(row)
    assert (method.name, on_gpu) == ("D-aligned", None)
    with pytest.raises(InputError, match="atlas: expected a case of the manifest, got"):
        method.load()


@pytest.mark.parametrize("iterations", [1000, 50])
def test_elastix_with_fewer_iterations_has_records_of_its_own(iterations, tmp_path):
    scale = replace(SCALES["small"], elastix_iterations=iterations)
    row = TableRow("elastix", method="elastix")
    method = Laboratory((), scale, tmp_path, ()).methods(row).method
    assert method.facts.get("iterations") == (None if iterations == 1000 else "50")


def test_settings_of_a_table_give_way_to_options(cohort, tmp_path):
    table = read_experiment(
        write_table(
            tmp_path,
            'name = "D"\nnetwork = "D"',
            head='title = "T"\n[settings]\nsteps = 5\natlas = "case0"\n',
        )
    )
    run = ExperimentRun(settings=ExperimentSettings(steps=7))
    opened = open_laboratory(table, read_manifest(cohort), out=tmp_path, run=run)
    assert opened.scale.training.steps == 7
    assert opened.atlas == "case0"
    assert opened.out == tmp_path / "small"


def test_a_dry_run_says_what_every_network_needs(cohort, tmp_path, capsys):
    table = write_table(
        tmp_path,
        'name = "tool"\nmethod = "identity"',
        'name = "AD"\nnetwork = "AD"',
        'name = "taught"\nnetwork = "AD"\nsupervised = true',
        'name = "lost"\nnetwork = "AD"\ntrain = ["lits"]\nsupervised = true',
    )
    out = tmp_path / "out"
    options = (
        "--dry-run --scale paper --shape 16 16 16 --channels 2 --steps 3 "
        "--pairs-per-step 2 --accelerator cpu"
    )
    main(["experiment", str(table), str(cohort), "--out", str(out), *options.split()])
    shown = " ".join(capsys.readouterr().out.split())
    assert "12 pairs" in shown
    assert "no training" in shown
    assert "column" in shown  # cohort of the row that has no scans
    assert not (out / "paper" / "trained").exists()


def test_workers_measure_the_pairs(cohort, tmp_path, monkeypatch):
    engines = []
    monkeypatch.setattr(
        "voltween.cli.experiment.run_experiment",
        lambda *_, run, **__: engines.append(run.runner.engine) or "",
    )
    table = write_table(tmp_path, 'name = "nothing"\nmethod = "identity"')
    command = ["experiment", str(table), str(cohort), "--out", str(tmp_path / "out")]
    for more in ([], ["--workers", "3"], ["--threads", "2"], ["--slurm", "mem=1G"]):
        main([*command, *more])
    assert [engine.workers for engine in engines] == [1, 3, 1, 1]
    assert [engine.threads for engine in engines] == [1, 1, 2, 1]
    assert engines[3].slurm.memory == "1G"
