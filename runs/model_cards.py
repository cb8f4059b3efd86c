"""A hook of MkDocs: cards of models come one level below the title of their page.

A card is a document of its own, whose title is of the first level. Of a page with
several titles of that level, the table of contents lists only what is below the first.
"""

import re
from pathlib import Path
from typing import Any

_CARD = re.compile(r'^--8<-- "(src/voltween/models/.+\.md)"$', re.MULTILINE)
_HEADING = re.compile(r"^#+ ", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Puts the cards in the place of the lines that name them."""
    return _CARD.sub(lambda line: _card(Path(line[1])), markdown)


def _card(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return _HEADING.sub(lambda heading: f"#{heading[0]}", text)
