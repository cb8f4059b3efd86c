"""The notebooks of the documentation run, and hold what their pages show."""

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="notebooks need nbclient, ipykernel")
nbclient = pytest.importorskip("nbclient", reason="notebooks need nbclient, ipykernel")
pytest.importorskip("ipykernel", reason="notebooks need nbclient, ipykernel")

FOLDER = Path(__file__).parents[1] / "docs" / "tutorials"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SECONDS = 600  # of a cell, on a busy machine
NEEDED = {"first_registration": "nilearn", "own_cohort": "tensorboardX"}

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path, kind):
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def test_there_are_three():
    assert len(NOTEBOOKS) == 3


@each
@pytest.mark.filterwarnings("ignore")  # of the tools that run it, not of its cells
def test_a_notebook_runs_without_an_error_or_a_warning(path, tmp_path, monkeypatch):
    if path.stem in NEEDED:
        pytest.importorskip(NEEDED[path.stem])
    monkeypatch.setenv("PYTHONWARNINGS", "default")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=SECONDS, resources=place).execute()
    said = [
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stderr"
    ]
    assert [text for text in said if "Warning" in text] == []


@each
def test_a_notebook_holds_its_outputs_and_no_error(path):
    code = cells(path, "code")
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    pictures = [o for o in outputs if "<img" in o.get("data", {}).get("text/html", "")]
    assert pictures
    assert not [o for o in pictures if "image/png" in o.data]  # the HTML holds it
    assert path.stat().st_size < 1_500_000


@each
def test_links_of_a_notebook_lead_to_files(path):
    text = "\n".join(cell.source for cell in cells(path, "markdown"))
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text)
    assert links
    assert [link for link in links if not (FOLDER / link).exists()] == []


@each
def test_a_notebook_is_in_the_navigation_and_linked_from_the_index(path):
    root = FOLDER.parents[1]
    navigation = (root / "mkdocs.yml").read_text("utf-8")
    index = (root / "docs" / "index.md").read_text("utf-8")
    assert f"- tutorials/{path.stem}.md" in navigation
    assert f"(tutorials/{path.name})" in index
