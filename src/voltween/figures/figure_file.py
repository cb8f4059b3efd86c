"""Writes Matplotlib figures as PNG, or as PDF with vector graphics."""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.text import Text

from voltween.storage import check_suffix, whole_file

_FORMATS = {".png": "png", ".pdf": "pdf"}
# Without a date, the same figure is the same file.
_METADATA = {"png": {"Software": None}, "pdf": {"CreationDate": None}}


def check_figure_path(path: Path) -> None:
    """Checks the name of a figure file, before any work is done for it.

    Raises:
        InputError: If its ending is not .png or .pdf.
    """
    check_suffix(path, tuple(_FORMATS), "a figure")


def write_figure(figure: Figure, path: Path) -> None:
    """Writes a PNG or a PDF, depending on the suffix.

    Raises:
        InputError: If the suffix is another.
        OutputError: If the file cannot be written.
    """
    check_figure_path(path)
    kind = _FORMATS[path.name[-4:]]  # ".png" alone has no suffix
    for text in figure.findobj(Text):  # names may hold dollar signs
        text.set_parse_math(False)
    with whole_file(path) as partial:
        figure.savefig(partial, format=kind, metadata=_METADATA[kind])
