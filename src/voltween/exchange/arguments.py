"""Checks of the objects of other libraries, with the method that takes each."""

from typing import TypeVar

from voltween.errors import check_type
from voltween.spatial import Image, LabelMap

V = TypeVar("V", Image, LabelMap)
"""The class of what is made: an image or a label map."""


def check_is_image_of(library: str, image: object, wanted: type, kind: type) -> None:
    """Checks that an object is an image of a library.

    Args:
        library: The library's name in errors, such as nibabel.
        image: The object.
        wanted: The library's class of images.
        kind: The class of what is to be made.

    Raises:
        InputError: If it is something else, with the method of `kind` that takes it.
    """
    expected = f"an image of {library}"
    advice = advice_on(image, kind)
    check_type(image, wanted, about="image", expected=expected, advice=advice)


def advice_on(thing: object, kind: type) -> str:
    """The method that takes a thing of another library; empty where there is none."""
    library = type(thing).__module__.split(".")[0]
    name = {"SimpleITK": "sitk"}.get(library, library)
    if library in ("nibabel", "SimpleITK", "torch", "torchio"):
        return f"{kind.__name__}.from_{name} takes it"
    if isinstance(thing, str):
        return "read a file with voltween.read"
    return ""
