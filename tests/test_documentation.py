"""The Python of README and docs, and that the files it names exist."""

import re
from pathlib import Path

import pytest

from support.cohorts import blob
from voltween import io

ROOT = Path(__file__).parents[1]
EXAMPLES = [ROOT / "README.md", ROOT / "docs" / "refinement.md"]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]


BLOCKS = [
    pytest.param(block, id=f"{page.name} {number}")
    for page in EXAMPLES
    for number, block in enumerate(
        re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL), 1
    )
]


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")
def test_python_on_the_pages_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, role in enumerate(("fixed", "moving")):
        image, labels = blob(number, (36, 48, 36))
        io.write(image, tmp_path / f"{role}.nii.gz")
    io.write(labels, tmp_path / "field_of_view.nii.gz")
    exec(compile(block, "example", "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


def test_every_row_of_the_conventions_names_a_test_that_exists():
    text = (ROOT / "docs" / "conventions.md").read_text()
    rows = [row for row in text.splitlines() if row.startswith("|")][2:]
    for row in rows:
        named = re.findall(r"`(test_\w+\.py)`", row.rsplit("|", 2)[1])
        assert named, row
        assert all((ROOT / "tests" / name).is_file() for name in named), row
