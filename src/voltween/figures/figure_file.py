"""Matplotlib figures as files: PNG, or PDF whose lines stay lines."""

from pathlib import Path

from matplotlib.figure import Figure

from voltween.files import check_suffix, whole_file

_FORMATS = {".png": "png", ".pdf": "pdf"}
# No date: the same figure is the same file.
_METADATA = {"png": {"Software": None}, "pdf": {"CreationDate": None}}


def check_figure_path(path: Path) -> None:
    """Refuse a path that no figure can be written to, before work is done for it.

    Raises:
        InputError: If its ending is not .png or .pdf.
    """
    check_suffix(path, tuple(_FORMATS), "a figure")


def write_figure(figure: Figure, path: Path) -> None:
    """Write a PNG or a PDF, as the path ends.

    Raises:
        InputError: If it ends otherwise, or cannot be written to.
    """
    check_figure_path(path)
    kind = _FORMATS[path.name[-4:]]  # ".png" alone has no suffix
    with whole_file(path) as partial:
        figure.savefig(partial, format=kind, metadata=_METADATA[kind])
