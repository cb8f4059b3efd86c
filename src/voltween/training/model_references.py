"""Models in settings of a training: a name, or a file and where it is.

A model has a name if it is shipped or lies in the user's folder; any other text is the
path of a model file.
"""

from collections.abc import Callable
from pathlib import Path

from voltween.models import is_model_name, shipped_models, weights_digest
from voltween.refinement import split_name
from voltween.training.recipe import TOOL_TEACHERS


def reference_of(model: str) -> str:
    """The name of a model, or the whole path of its file: valid from any folder."""
    return with_path(model, Path.resolve)


def with_path(model: str, changed: Callable[[Path], Path]) -> str:
    """The path of a model file changed; names of models stay.

    A relative path that reads as a name begins with "./".
    """
    if is_model_name(model):
        return model
    path = changed(Path(model))
    if path.is_absolute():
        return str(path)
    text = path.as_posix()
    return f"./{text}" if is_model_name(text) or text in TOOL_TEACHERS else text


def teacher_with_path(teacher: str, changed: Callable[[Path], Path]) -> str:
    """The path of a teacher's model file changed; names and the refinement stay."""
    if teacher in TOOL_TEACHERS:
        return teacher
    model, _ = split_name(teacher)
    return with_path(model, changed) + teacher.removeprefix(model)


def model_identity(model: str) -> str:
    """A model's name without folders and, if it is not shipped, its SHA-256.

    A shipped model belongs to the version of Voltween; other files may change.

    Raises:
        InputError: If there is no such model.
    """
    if model in dict(shipped_models()):
        return model
    return f"{Path(model).name}, {weights_digest(model)}"


def teacher_identity(teacher: str) -> str:
    """A teacher's name, with the identity of its model if it is one.

    Raises:
        InputError: If there is no such model.
    """
    if teacher in TOOL_TEACHERS:
        return teacher
    model, _ = split_name(teacher)
    return model_identity(model) + teacher.removeprefix(model)
