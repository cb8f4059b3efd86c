"""README and docs: their Python runs, and the files, modules and pages named exist."""

import re
from pathlib import Path

import pytest

from support.cohorts import blob
from support.imports import PACKAGE, PACKAGES, exists
from voltween import io

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SITE = sorted(DOCS.rglob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *SITE]
QUOTED = ("data_util/", "network/", "evaluation/L2RTest/")
"""Folders of other repositories, whose files docs/cohorts.md names."""


def page_id(page):
    """Path of a page below the repository."""
    return str(page.relative_to(ROOT))


BLOCKS = [
    pytest.param(block, id=f"{page_id(page)} {number}")
    for page in PAGES
    for number, block in enumerate(
        re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL), 1
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


def test_every_python_block_is_found():
    blocks = sum(page.read_text("utf-8").count("```python") for page in PAGES)
    assert len(BLOCKS) == blocks >= 5


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_files_and_modules_named_on_the_pages_exist(page):
    code = re.findall(r"`([\w./]+)`", page.read_text("utf-8"))
    files = [name for name in code if re.fullmatch(r"[\w/]+/\w+\.(py|sh|h|toml)", name)]
    folders = (ROOT, PACKAGE, ROOT / "tests", ROOT / "src" / "native")
    missing = [f for f in files if not any((top / f).is_file() for top in folders)]
    assert [name for name in missing if not name.startswith(QUOTED)] == []
    for name in code:
        if re.fullmatch(r"voltween(\.\w+)+", name):
            assert exists(name), name


def test_the_index_links_every_page():
    links = re.findall(r"\]\(([^)]+\.md)\)", (DOCS / "index.md").read_text("utf-8"))
    pages = {str(page.relative_to(DOCS)) for page in SITE} - {"index.md"}
    assert set(links) == pages


def test_every_package_has_a_reference_page():
    pages = {p.stem: p.read_text("utf-8") for p in (DOCS / "reference").glob("*.md")}
    assert set(pages) == {"voltween", *PACKAGES}
    for name, page in pages.items():
        package = name if name == "voltween" else f"voltween.{name}"
        assert re.findall(r"^::: (\S+)", page, re.MULTILINE) == [package]


def test_every_row_of_the_conventions_names_a_test_that_exists():
    text = (DOCS / "conventions.md").read_text("utf-8")
    rows = [row for row in text.splitlines() if row.startswith("|")][2:]
    for row in rows:
        named = re.findall(r"`([\w/]*test_\w+\.py)`", row.rsplit("|", 2)[1])
        assert named, row
        assert all((ROOT / "tests" / name).is_file() for name in named), row
