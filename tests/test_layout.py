"""The house rules that a machine can check: who may import whom, faces, sizes."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from support.imports import (
    MODULES,
    NAMES,
    PACKAGE,
    PACKAGES,
    imports_of,
    module_name,
    package_of,
    top_imports,
)

TESTS = Path(__file__).parent
GROUND = {"", "__main__", "errors", "field_texts", "starting"}
SHARED = {"storage", "process"}
SPACE = {"spatial", "io", "metrics", "preprocessing", "figures"}
TENSORS = {"ops", "losses", "networks", "refinement"}

# What stands in a face whose names are listed in a stub, `__init__.pyi`.
LAZY = (
    "import lazy_loader\n"
    "__getattr__, __dir__, __all__ = "
    "lazy_loader.attach_stub(__name__, __file__)"
)

# Every package, and the packages it may import. All may import the ground and the
# two shared packages.
MAY_IMPORT = {
    "process": set(),
    "storage": {"process"},
    "spatial": set(),
    "io": {"spatial"},
    "metrics": {"spatial"},
    "preprocessing": {"spatial"},
    "figures": {"spatial"},
    "reports": {"figures", "preprocessing", "io", "spatial"},
    "ops": set(),
    "losses": {"ops"},
    "networks": {"ops"},
    "refinement": {"losses", "ops"},
    # A fingerprint of training scans is measured on images.
    "models": {"networks", "preprocessing", "spatial"},
    # Methods of images reach it by name: PyTorch is not for scanner space.
    "exchange": {"io", "spatial"},
    "registration": {"models", "networks", "refinement", "ops", "reports", *SPACE},
    "cohorts": {"workers", "preprocessing", "figures", "io", "spatial"},
    "baselines": {"io", "spatial"},
    "training": {"cohorts", "baselines", "models", "workers", *SPACE, *TENSORS},
    "evaluation": {
        *("registration", "training", "cohorts", "baselines", "models"),
        *("refinement", "networks", "reports", "workers", *SPACE),
    },
    "batches": {
        *("registration", "cohorts", "models", "networks", "refinement", "losses"),
        *("reports", "workers", "figures", "io", "spatial"),
    },
    "templates": {
        *("batches", "cohorts", "registration", "preprocessing", "io", "spatial"),
    },
    "fusion": {"batches", "cohorts", "registration", "io", "spatial"},
    "workers": set(),
    "hosting": {"batches"},
    "demo": {"registration", "models", "io", "spatial"},
    "benchmarks": {
        *("training", "networks", "refinement", "losses", "ops", "io", "spatial"),
        "diagnosis",
    },
    "schemas": {"registration", "refinement", "training"},
    "diagnosis": {"registration", "refinement", "models", "ops", "io", "spatial"},
    "cli": set(PACKAGES) - {"cli"},
}


def test_every_package_is_in_the_table_and_every_module_in_a_package():
    assert set(PACKAGES) == set(MAY_IMPORT)
    assert {n for n in NAMES if package_of(n) == ""} == GROUND


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_packages_import_what_the_table_allows(package):
    for name, path in NAMES.items():
        if package_of(name) == package:
            imported = {package_of(m) for m in imports_of(path)} - {"", package}
            shared = set() if package in SHARED else SHARED
            assert imported <= MAY_IMPORT[package] | shared, name


def test_the_ground_imports_no_package():
    for name in GROUND - {"", "__main__"}:
        assert {package_of(m) for m in imports_of(NAMES[name])} <= {""}, name


def test_packages_form_no_circle():
    tuple(TopologicalSorter(MAY_IMPORT).static_order())


def test_files_form_no_circle():
    graph = {
        name: {m for m in imports_of(path) if m != name}
        for name, path in NAMES.items()
        if path.name != "__init__.py"
    }
    tuple(TopologicalSorter(graph).static_order())


def test_space_and_tensors_do_not_know_each_other():
    for one, other in ((SPACE, TENSORS), (TENSORS, SPACE)):
        assert all(not MAY_IMPORT[package] & other for package in one)


@pytest.mark.parametrize("package", sorted(SPACE))
def test_scanner_space_is_free_of_torch(package):
    for name, path in NAMES.items():
        if package_of(name) == package:
            assert "import torch" not in path.read_text("utf-8"), name
            assert "from torch" not in path.read_text("utf-8"), name


def test_tests_stand_in_folders_of_the_packages():
    folders = {path.parent for path in TESTS.rglob("test_*.py")} - {TESTS}
    for folder in folders:
        assert (PACKAGE / folder.relative_to(TESTS) / "__init__.py").is_file(), folder


def test_cli_is_imported_by_main_alone():
    users = {n for n, p in NAMES.items() if "cli" in map(package_of, imports_of(p))}
    assert {n for n in users if package_of(n) != "cli"} == {"__main__"}


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_across_packages_go_through_faces(path):
    own = package_of(module_name(path))
    for module in imports_of(path):
        if package_of(module) not in ("", own):
            assert module == package_of(module) or is_heavy(module), module


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_modules_of_one_package_import_each_other_by_full_path(path):
    own = package_of(module_name(path))
    if own and path.name != "__init__.py":
        assert own not in imports_of(path)


@pytest.mark.parametrize("package", PACKAGES)
def test_faces_say_their_contract_and_define_nothing(package):
    docstring, *statements = ast.parse(NAMES[package].read_text("utf-8")).body
    assert len(ast.literal_eval(docstring.value)) > 60
    if is_lazy(package):
        assert "\n".join(map(ast.unparse, statements)) == LAZY
    for node in handed_on(package):
        assert isinstance(node, ast.ImportFrom)
        assert all(alias.asname == alias.name for alias in node.names)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_face_hands_on_a_function_named_as_its_module(package):
    modules = {path.stem for path in (PACKAGE / package).glob("*.py")}
    assert not modules & {a.name for node in handed_on(package) for a in node.names}


@pytest.mark.parametrize("package", PACKAGES)
def test_faces_are_light(package):
    assert not [m for m in imports_of(NAMES[package]) if is_heavy(m)]


def test_lps_is_said_in_one_file_alone():
    for name, path in NAMES.items():
        texts = {
            node.value if isinstance(node, ast.Constant) else getattr(node, "id", None)
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
        }
        assert name == "io.itk" or not texts & {"LPS", "_FLIP"}, name


def test_digests_are_computed_in_one_file_alone():
    users = [name for name, p in NAMES.items() if "hashlib" in p.read_text("utf-8")]
    assert users == ["storage.digests"]


def test_grid_sample_is_called_in_the_stock_warp_and_the_benchmark_alone():
    users = [module_name(p) for p in MODULES if "grid_sample(" in p.read_text("utf-8")]
    assert sorted(users) == ["benchmarks.naive", "ops.warping"]


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_files_stay_short(path):
    assert len(path.read_text("utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_functions_stay_short(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name


def is_lazy(package):
    """Whether a face imports each of its names when it is first used."""
    return NAMES[package].with_suffix(".pyi").exists()


def handed_on(package):
    """The imports of a face, those of its stub if it is lazy."""
    if is_lazy(package):
        return ast.parse(NAMES[package].with_suffix(".pyi").read_text("utf-8")).body
    return ast.parse(NAMES[package].read_text("utf-8")).body[1:]


def is_heavy(module):
    """Whether importing a module imports Matplotlib or PyVista."""
    names = top_imports(NAMES[module])
    if {name.split(".")[0] for name in names} & {"matplotlib", "pyvista"}:
        return True
    own = {n.removeprefix("voltween.") for n in names} & NAMES.keys()
    return any(is_heavy(name) for name in own - {module} if "." in name)
