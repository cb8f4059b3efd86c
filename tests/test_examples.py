"""The README's own Python, and that the files it names exist."""

import re
from pathlib import Path

import pytest

from phantoms import blob
from voltween import io

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
@pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")
def test_python_in_the_readme_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, role in enumerate(("fixed", "moving")):
        io.write(blob(number, (36, 48, 36))[0], tmp_path / f"{role}.nii.gz")
    exec(compile(block, "README.md", "exec"), {})


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
