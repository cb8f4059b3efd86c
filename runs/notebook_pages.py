"""A hook of MkDocs: notebooks become pages of the site, with the outputs they hold."""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

_SUFFIX = ".ipynb"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Puts a page in the place of every notebook."""
    for notebook in [file for file in files if file.src_uri.endswith(_SUFFIX)]:
        files.remove(notebook)
        name = notebook.src_uri.removesuffix(_SUFFIX)
        text, others = _converted(Path(str(notebook.abs_src_path)))
        files.append(File.generated(config, f"{name}.md", content=text))
        for other, content in others.items():
            uri = f"{Path(name).parent.as_posix()}/{other}"
            files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Leads links to notebooks to their pages."""
    return re.sub(r"(\]\([^)\s]+)\.ipynb\)", r"\1.md)", markdown)


def _converted(notebook: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, and the pictures beside it by their names."""
    names = {"output_files_dir": ".", "unique_key": notebook.stem}
    text, resources = MarkdownExporter().from_filename(str(notebook), names)
    return text, {Path(name).name: data for name, data in resources["outputs"].items()}
