"""The house rules that a machine can check (CONTRIBUTING.md)."""

import ast
from pathlib import Path

import pytest

from package_imports import (
    MODULES,
    imports_of,
    is_of_native_operations,
    module_name,
    modules_with_native_operations,
)

# Imports go up this list only: a module may import those before it.
ORDER = [
    "errors",
    "files",
    "process",
    # physical space
    "space",
    "volume",
    "orientation",
    "interpolation",
    "inversion",
    "transform",
    "points_text",
    "nifti",
    "io",
    "metrics",
    "regularity",
    "mending",
    "unfolding",
    "scores",
    "pairs",
    # other tools
    "baselines",
    "baselines.checked",
    "baselines.tools",
    "baselines.child",
    "baselines.ants",
    "baselines.elastix",
    # tensors
    "shapes",
    "native",
    "stock",
    "warp",
    "jacobian",
    "velocity",
    "losses",
    "boxes",
    "histograms",
    "mind",
    "weighted",
    "similarities",
    "supervision",
    "networks.convolution",
    "networks.upsampling",
    "networks.blocks",
    "networks.affine",
    "networks.dense",
    "networks.cascade",
    "networks.voxelmorph",
    "networks.kinds",
    "networks",
    "inference",
    "refinement",
    "model_names",
    "descent",
    "evidence",
    "matching",
    "parts",
    "pair_search",
    # work
    "sampling",
    "hounsfield",
    "survey",
    "preprocess",
    "canonical",
    "guidance",
    "fitting",
    "pair_view",
    "crop",
    "exposure",
    "data",
    "augment",
    "synthetic",
    "objective",
    "checkpoint",
    "registration",
    "register",
    "methods",
    "measure",
    "records",
    "evaluate",
    "statistics",
    "summaries",
    "markup",
    "tables",
    "pages",
    "overlap_plots",
    "time_plot",
    "report",
    "figure_files",
    "planes",
    "overview",
    "comparison",
    "section_figures",
    "jacobian_figure",
    "rendering",
    "tweening_figure",
    # cohorts
    "cohorts",
    "cohorts.sources",
    "cohorts.analyze",
    "cohorts.scans",
    "cohorts.cohort",
    "cohorts.layouts",
    "cohorts.liver",
    "cohorts.lpba40",
    "cohorts.indi",
    "cohorts.adni",
    "cohorts.oasis",
    "cohorts.learn2reg",
    "cohorts.rcn",
    "cohorts.catalogue",
    "case_preparation",
    "finished_cases",
    "cohort_record",
    "contact_sheet",
    "prepare",
    # training
    "recipe",
    "cache",
    "teachers",
    "targets",
    "batches",
    "hardware",
    "validation",
    "run_folder",
    "plots",
    "training_logs",
    "train",
    "dry_run",
    "settings",
    "fingerprint",
    "plan",
    # experiments
    "baselines.voxelmorph",
    "alignment",
    "experiment",
    # results
    "results",
    "demo",
    # benchmarks
    "benchmarks",
    "benchmarks.naive",
    "benchmarks.naive_cascade",
    "benchmarks.measure",
    "benchmarks.voxelmorph",
    "benchmarks.workloads",
    "benchmarks.memory",
    "benchmarks.machine",
    "benchmarks.operations",
    "benchmarks.cascades",
    "benchmarks.costs",
    "benchmarks.roofline",
    "benchmarks.cold_start",
    "benchmarks.suite",
    "benchmarks.tables",
    "benchmarks.report",
    # what people touch
    "console",
    "cli_alignment",
    "cli_evaluation",
    "cli_preparation",
    "cli_figures",
    "cli_registration",
    "cli_training",
    "cli",
    "__main__",
    "",
]
PHYSICAL = {
    "space",
    "volume",
    "orientation",
    "interpolation",
    "inversion",
    "transform",
    "points_text",
    "nifti",
    "io",
    "metrics",
    "regularity",
    "mending",
    "unfolding",
}
TENSOR = {
    "shapes",
    "native",
    "stock",
    "warp",
    "jacobian",
    "velocity",
    "losses",
    "boxes",
    "histograms",
    "mind",
    "weighted",
    "similarities",
    "supervision",
}


def test_every_module_has_its_place():
    assert sorted(map(module_name, MODULES)) == sorted(ORDER)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_go_one_way(path):
    name = module_name(path)
    later = [m for m in imports_of(path) if ORDER.index(m) >= ORDER.index(name)]
    assert later == []


def test_space_and_tensors_do_not_know_each_other():
    for path in MODULES:
        name = module_name(path)
        text = path.read_text()
        if name in PHYSICAL:
            assert "import torch" not in text, name
        if name in TENSOR or name.startswith(("networks", "inference")):
            assert not imports_of(path) & PHYSICAL, name


def test_every_module_with_native_operations_is_tested_with_all_instructions():
    tests = Path(__file__).parent.glob("test_*.py")
    tested = [imports_of(path) for path in tests if is_of_native_operations(path)]
    known = {"native", "networks.upsampling", "warp", "losses", "jacobian"}
    assert known <= modules_with_native_operations() <= frozenset().union(*tested)


def test_lps_is_said_in_io_alone():
    code = {"LPS", "_FLIP"}
    for path in MODULES:
        names = {
            node.value if isinstance(node, ast.Constant) else getattr(node, "id", None)
            for node in ast.walk(ast.parse(path.read_text()))
        }
        assert module_name(path) == "io" or not (names & code), path


def test_grid_sample_is_called_in_stock_and_the_benchmark_alone():
    users = [module_name(p) for p in MODULES if "grid_sample(" in p.read_text()]
    assert sorted(users) == ["benchmarks.naive", "stock"]


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_files_stay_short(path):
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_functions_stay_short(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name
