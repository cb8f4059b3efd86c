"""Scans in notebooks: three sections as a picture within HTML, and what they are."""

import base64
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from html import escape
from io import BytesIO

from PIL import Image as Picture

from voltween.errors import InputError
from voltween.figures.mosaic import paint_mosaic
from voltween.figures.painter import checker, color_labels, gray, paint_panel
from voltween.figures.views import whole_views
from voltween.figures.windowing import Window
from voltween.spatial import Grid, Image, LabelMap, Transform
from voltween.storage import terminal

_LONGEST_SIDE = 224  # pixels
_GAP_PIXELS = 4
_MOST_LABELS = 12  # that are listed
_PLANES = "axial, coronal and sagittal section through the center"


@dataclass(frozen=True)
class Shown:
    """A picture and what is said below it; a notebook shows both."""

    picture: Picture.Image
    words: tuple[str, ...]

    def html(self) -> str:
        """The picture within HTML, with the words as its caption."""
        content = base64.b64encode(self.png()).decode()
        text = escape(terminal("; ".join(self.words)))
        return (
            '<figure style="margin: 0; max-width: 100%">'
            f'<img src="data:image/png;base64,{content}" alt="{text}; {_PLANES}" '
            'style="max-width: 100%; height: auto">'
            f"<figcaption>{text}</figcaption></figure>"
        )

    def png(self) -> bytes:
        """The picture alone, as the content of a file."""
        file = BytesIO()
        self.picture.save(file, format="png")
        return file.getvalue()

    def show(self) -> None:
        """Shows it in the notebook that runs, or else in the system's viewer.

        Raises:
            InputError: If there is neither.
        """
        if _runs_in_notebook():
            from IPython.display import HTML, display

            display(HTML(self.html()))  # type: ignore[no-untyped-call]
            return
        from PIL import ImageShow  # it imports IPython, if there is one: 0.05 s

        if not ImageShow.show(self.picture):
            raise InputError(
                about="show",
                expected="a notebook, or a program that shows pictures",
                got="neither",
                advice="write_registration of voltween.registration writes pictures",
            )


def notebook_html(thing: object) -> str:
    """Returns HTML that shows an image or a label map in a notebook.

    It holds a picture of the three planes through the center, with R, A and S to the
    right or up, and a line on the grid and the values.

    Raises:
        TypeError: If there is no picture of such a thing.
    """
    return _shown(thing).html()


def notebook_png(thing: object) -> bytes:
    """Returns the picture of `notebook_html` as the content of a PNG file.

    Raises:
        TypeError: If there is no picture of such a thing.
    """
    return _shown(thing).png()


@singledispatch
def _shown(thing: object) -> Shown:
    raise TypeError(f"no picture of {type(thing).__name__}")


@_shown.register
def _(image: Image) -> Shown:
    window = Window.of(image)
    views = whole_views(image.grid, _LONGEST_SIDE)
    panels = [
        paint_panel(gray(view.gray(image, window=window)), view.plane) for view in views
    ]
    low, high = float(image.data.min()), float(image.data.max())
    values = (
        f"intensities {low:g} to {high:g}, shown {window.low:.4g} to {window.high:.4g}"
    )
    return Shown(_row(panels), ("Image", *_grid_words(image.grid), values))


@_shown.register
def _(labels: LabelMap) -> Shown:
    views = whole_views(labels.grid, _LONGEST_SIDE)
    panels = [
        paint_panel(color_labels(view.labels(labels)), view.plane) for view in views
    ]
    names = labels.labels
    listed = ", ".join(map(str, names[:_MOST_LABELS]))
    more = ", ..." if len(names) > _MOST_LABELS else ""
    words = f"{len(names)} labels: {listed}{more}" if names else "no labels"
    return Shown(_row(panels), ("LabelMap", *_grid_words(labels.grid), words))


def show_pair(
    fixed: Image,
    moving: Image,
    transforms: Mapping[str, Transform],
    words: Sequence[str],
) -> Shown:
    """Paints a fixed scan, the moving scan under transforms, and both.

    Args:
        fixed: The fixed scan.
        moving: The moving scan.
        transforms: From fixed to moving mm, by the headings of their columns; the last
            one is shown in a checkerboard with the fixed scan, too.
        words: What is said below the picture, in parts.
    """
    views = whole_views(fixed.grid, _LONGEST_SIDE)
    windows = Window.of(fixed), Window.of(moving)
    shown = {"fixed": [view.gray(fixed, window=windows[0]) for view in views]}
    for heading, transform in transforms.items():
        shown[heading] = [
            view.gray(moving, transform, window=windows[1]) for view in views
        ]
    columns = {heading: [*map(gray, sections)] for heading, sections in shown.items()}
    pairs = zip(shown["fixed"], [*shown.values()][-1], strict=True)
    columns["fixed / moved"] = [checker(*pair) for pair in pairs]
    return Shown(paint_mosaic("", columns), tuple(words))


def _runs_in_notebook() -> bool:
    """Whether a notebook's kernel runs this, not a script or IPython's terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")


def _row(panels: Sequence[Picture.Image]) -> Picture.Image:
    """The panels side by side, in the middle of their row."""
    width = sum(panel.width + _GAP_PIXELS for panel in panels) - _GAP_PIXELS
    height, left = max(panel.height for panel in panels), 0
    row = Picture.new("RGB", (width, height))
    for panel in panels:
        row.paste(panel, (left, (height - panel.height) // 2))
        left += panel.width + _GAP_PIXELS
    return row


def _grid_words(grid: Grid) -> tuple[str, str]:
    shape = " x ".join(map(str, grid.shape))
    spacing = " x ".join(f"{side:.3g}" for side in grid.spacing_mm)
    return f"{shape} voxels of {spacing} mm", f"stored as {grid.axcodes}"
