"""The models at hand by their names: those that are shipped, and the user's own.

A user's models are the files NAME.safetensors in one folder: `$VOLTWEEN_MODELS`, or
`voltween/models` in `$XDG_DATA_HOME`, which is `~/.local/share` if it is not set.
"""

import os
import warnings
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from voltween.errors import InputError, SuspiciousInputWarning, check_type
from voltween.models.tensor_files import SUFFIX, read_description
from voltween.storage import PathLike

CARD_SUFFIX = ".md"
"""The suffix of a model's card, which lies beside the model."""
_FOLDER_VARIABLE = "VOLTWEEN_MODELS"


def shipped_models() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields name and description of each shipped model, in alphabetical order."""
    for name, path in models_in(shipped_folder()).items():
        yield name, _description(path)


def user_models() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields name and description of each model in the user's folder, likewise.

    A file that cannot be read, or that has the name of a shipped model, is left out
    with a warning.
    """
    shipped = models_in(shipped_folder())
    for name, path in _own_models().items():
        if name in shipped:
            text = f"{path}: not used, as a shipped model has this name; rename it"
            warnings.warn(text, SuspiciousInputWarning, stacklevel=2)
            continue
        try:
            description = _description(path)
        except InputError as error:
            warnings.warn(f"{error}: left out", SuspiciousInputWarning, stacklevel=2)
            continue
        yield name, description


def model_path(name_or_path: PathLike) -> Path:
    """Path of a model's file: by the name of a shipped or own model, or by its path.

    Raises:
        InputError: If there is no such file.
    """
    check_type(
        name_or_path,
        (str, os.PathLike),
        about="model",
        expected="a model, its name or its file",
    )
    named, shipped = str(name_or_path), models_in(shipped_folder())
    if named in shipped:
        return shipped[named]
    own = _own_models()
    if named in own:
        return own[named]
    path = Path(name_or_path)
    if not path.is_file():
        raise InputError(
            about=name_or_path,
            expected=f"a shipped model ({', '.join(shipped)}), one of your own "
            f"({', '.join(own) or 'none yet'}), or a file that `voltween train` wrote",
            got="none of this name",
        )
    return path


def model_card(name: str) -> str:
    """The card of a shipped model or of one of the user's own, as Markdown.

    Raises:
        InputError: If there is no model of this name, or it has no card.
    """
    path = model_path(name).with_suffix(CARD_SUFFIX)
    if not path.is_file() or not is_model_name(name):
        raise InputError(
            about=name,
            expected="a model with a card beside it",
            got="none",
            advice="`voltween models` lists them, `voltween card` writes cards",
        )
    return path.read_text(encoding="utf-8")


def is_model_name(name: str) -> bool:
    """Whether this is the name of a shipped model or of one in the user's folder."""
    return name in models_in(shipped_folder()) or name in _own_models()


def path_for_own_model(name: str) -> Path:
    """The path at which a model of this name is found from now on.

    Raises:
        InputError: If the name is that of a shipped model, or none for a file.
    """
    if name in models_in(shipped_folder()):
        raise InputError(
            about=name,
            expected="a name that no shipped model has",
            got="that of a shipped one",
            advice="choose another",
        )
    is_plain = name.isprintable() and not set(name) & set('/\\:+,*?"<>|')
    if not is_plain or name.strip(" .") != name or name in ("", "none", "auto"):
        raise InputError(
            about="name of a model",
            expected="letters, digits, - and _, and neither none nor auto",
            got=repr(name),
        )
    return user_folder() / f"{name}{SUFFIX}"


def user_folder() -> Path:
    """The folder of the user's own models, which may not exist.

    Raises:
        InputError: If neither variable is set, and the user has no home.
    """
    if named := os.environ.get(_FOLDER_VARIABLE):
        return Path(named)
    data = os.environ.get("XDG_DATA_HOME")
    try:
        base = Path(data) if data else Path.home() / ".local" / "share"
    except RuntimeError as error:
        raise InputError(
            about=_FOLDER_VARIABLE,
            expected="the folder of your models, as there is no home folder",
            got="nothing",
            advice="set this variable",
        ) from error
    return base / "voltween" / "models"


def shipped_folder() -> Path:
    """The folder of the models in the package."""
    return Path(str(files("voltween") / "models"))


def _own_models() -> dict[str, Path]:
    """The user's model files by their names; none if the user has no home."""
    try:
        return models_in(user_folder())
    except InputError:
        return {}


def models_in(folder: Path) -> dict[str, Path]:
    """Model files of a folder by their names; none if it cannot be listed."""
    try:
        paths = list(folder.glob(f"*{SUFFIX}"))
    except OSError:
        return {}
    visible = [path for path in paths if not path.name.startswith(".")]
    return dict(sorted((path.name.removesuffix(SUFFIX), path) for path in visible))


def _description(path: Path) -> dict[str, Any]:
    """The description of a model, without its weights.

    Raises:
        InputError: If the file is damaged or of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return read_description(path, file.metadata())
    except (SafetensorError, OSError) as error:
        raise InputError(
            about=path,
            expected=f"a Voltween model ({SUFFIX})",
            got="a file that is damaged or of another kind",
        ) from error
