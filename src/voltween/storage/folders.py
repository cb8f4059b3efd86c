"""Folders of results: a new result takes the place of the former one as a whole."""

import ctypes
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from voltween.errors import OutputError, VoltweenError
from voltween.storage.files import PathLike, folder_of, unwritable
from voltween.storage.inputs import check_is_no_input
from voltween.storage.workspaces import flush, sweep, workspace

_HERE = -100  # AT_FDCWD: paths are relative to the working folder
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS


def cache_folder() -> Path:
    """The folder of files that can be made anew, by PyTorch's rule.

    Raises:
        OSError: If there is no home to have it in.
    """
    folder = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(folder) if folder else Path.home() / ".cache") / "voltween"
    except RuntimeError as error:
        raise FileNotFoundError(str(error)) from error


@contextmanager
def whole_folder(
    path: PathLike, *, names: Collection[str], last: str
) -> Iterator[Path]:
    """Yields a new folder to write to; its files become one result if all went well.

    `names` are all files that such a result may have, and `last` is the one that every
    result has: a folder that holds it holds a whole result. An earlier result is
    replaced as a whole, so that none of its files stays beside the new ones. Files of
    other names stay as they are.

    The new folder takes the place of the earlier one in one step, so that a killed
    process leaves one or the other. Where the system cannot do that, or the folder has
    folders in it, is the working folder or a place where a disk is mounted, the files
    are replaced one by one: a process killed meanwhile leaves a folder without `last`
    and without files of the earlier result, which the next result replaces.

    Raises:
        InputError, OutputError: As `check_result_folder`.
        OutputError: If `path` cannot be made or written to.
    """
    folder = Path(path).resolve()
    check_result_folder(Path(path), names=names, last=last)
    partial = folder
    try:
        with _room_for(folder) as room:
            partial = room / folder.name
            partial.mkdir()
            yield partial
            _put_in_place(folder, partial, names, last)
    except VoltweenError as error:  # name the folder that the user knows
        known = error.about.replace(str(partial), str(path))
        known = known.replace(str(folder), str(path))
        raise error.replace(about=known) from error
    except OSError as error:
        raise unwritable(Path(path), error) from error


def check_result_folder(folder: Path, *, names: Collection[str], last: str) -> None:
    """Checks that a result may be written to a folder; see `whole_folder`.

    Raises:
        InputError: If one of these files is an input of the command.
        OutputError: If the folder has files or folders of these names that are not of
            an earlier result.
    """
    for name in sorted(names):
        check_is_no_input(folder / name)
    if blocked := [name for name in sorted(names) if (folder / name).is_dir()]:
        raise OutputError(
            about=folder,
            expected="a folder in which files can be replaced",
            got=f"folders of the same names, {blocked}",
            advice="give another folder, or move these away",
        )
    is_result = (folder / last).exists() or _unfinished(folder, last).exists()
    strangers = [name for name in sorted(names) if (folder / name).exists()]
    if strangers and not is_result:
        raise OutputError(
            about=folder,
            expected=f"a new folder, or an earlier result, which has {last}",
            got=f"a folder without it that has {', '.join(strangers)}",
            advice="give another folder, or move these away",
        )


@contextmanager
def _room_for(folder: Path) -> Iterator[Path]:
    """A hidden folder for the new result, beside its folder if that is on one disk."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(
            about=folder, expected="a folder that can be made", got="a file"
        )
    with folder_of(folder / "result" if _must_stay(folder) else folder):
        sweep(folder)
        with workspace(folder if _must_stay(folder) else folder.parent) as room:
            yield room


def _must_stay(folder: Path) -> bool:
    """Whether no other folder can take the place of a folder."""
    if not folder.exists():
        return False
    return (
        folder in (Path.cwd(), *Path.cwd().parents)  # of the user's shell as well
        or os.stat(folder).st_dev != os.stat(folder.parent).st_dev
        or not os.access(folder.parent, os.W_OK)
    )


def _put_in_place(
    folder: Path, partial: Path, names: Collection[str], last: str
) -> None:
    for path in (*partial.iterdir(), partial):
        flush(path)
    if not folder.exists():
        os.rename(partial, folder)
    elif _must_stay(folder) or not _swap(folder, partial, names, last):
        _replace_files(folder, partial, names, last)
    for path in (folder, folder.parent):
        flush(path)


def _swap(folder: Path, partial: Path, names: Collection[str], last: str) -> bool:
    """Exchanges the folders, with all other files in both; false if that cannot be."""
    own = {*names, _unfinished(folder, last).name}
    others = [entry for entry in os.scandir(folder) if entry.name not in own]
    if any(entry.is_dir(follow_symlinks=False) for entry in others):
        return False
    try:
        for entry in others:
            os.link(entry.path, partial / entry.name, follow_symlinks=False)
    except (OSError, NotImplementedError):
        return False
    shutil.copystat(folder, partial)
    with suppress(OSError):
        os.chown(partial, -1, folder.stat().st_gid)
    if not _exchange(folder, partial):
        return False
    kept = {entry.name for entry in others}
    for entry in os.scandir(partial):  # what others have put there meanwhile
        if entry.name not in own | kept:
            os.rename(entry.path, folder / entry.name)
    return True


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two folders in one step; false if nothing has changed.

    Linux and macOS can do that on most disks, Windows cannot.
    """
    try:
        system = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows
        return False
    first, second = os.fsencode(one), os.fsencode(other)
    if hasattr(system, "renameat2"):
        return system.renameat2(_HERE, first, _HERE, second, _EXCHANGE) == 0
    if hasattr(system, "renamex_np"):
        return system.renamex_np(first, second, _EXCHANGE) == 0
    return False


def _replace_files(
    folder: Path, partial: Path, names: Collection[str], last: str
) -> None:
    """Deletes an earlier result, `last` first, and moves the new one in, it last."""
    _unfinished(folder, last).touch()
    for name in sorted(names, key=lambda name: name != last):
        (folder / name).unlink(missing_ok=True)
    for file in sorted(partial.iterdir(), key=lambda file: file.name == last):
        os.replace(file, folder / file.name)
    _unfinished(folder, last).unlink()


def _unfinished(folder: Path, last: str) -> Path:
    """The file that is there while a result is replaced."""
    return folder / f".{last}"
