"""Loads libraries before the commands that need them are imported."""

import ctypes
import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

_FIRST, _LARGEST = "libtorch_global_deps", "libtorch_cpu"
_WITH_CUDA = "libtorch_cuda"
_NOT_FOR_HEADERS = ("pydicom", "scipy")  # what nibabel imports if it is installed


def load_ahead() -> None:
    """Starts a thread that loads the largest of the libraries of `import torch`.

    The system links its 0.4 GB in 0.3 s, for which Python's modules need not wait on a
    second core. What calls Python is left to the import. Does nothing where the library
    is not where PyTorch keeps it, or where PyTorch has CUDA, of which it chooses the
    libraries itself.
    """
    if "torch" not in sys.modules:
        Thread(target=_load, name="libraries", daemon=True).start()


def _load() -> None:
    with suppress(OSError, ImportError, ValueError):  # `import torch` says it better
        spec = find_spec("torch")
        places = spec.submodule_search_locations if spec else None
        for folder in (Path(place) / "lib" for place in places or ()):
            if not any(folder.glob(f"{_WITH_CUDA}.*")):
                _load_from(folder)


def _load_from(folder: Path) -> None:
    """Loads the libraries in the order and the manner of PyTorch."""
    ending = ".dylib" if sys.platform == "darwin" else ".so"
    paths = [folder / f"{name}{ending}" for name in (_FIRST, _LARGEST)]
    if all(path.is_file() for path in paths):
        ctypes.CDLL(os.fspath(paths[0]), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(os.fspath(paths[1]))


def import_readers() -> None:
    """Imports what reads and writes scans, while the thread of `load_ahead` links.

    nibabel is imported without pydicom and SciPy, as if they were not installed. It has
    them for DICOM within extensions of NIfTI headers and for the .mat files of SPM,
    neither of which we read. They take 0.14 s, of which pydicom's code for downloads is
    a third. Whoever needs them imports them afterwards. This is for a process of our
    own: another program may want all of nibabel.
    """
    hidden = [name for name in _NOT_FOR_HEADERS if name not in sys.modules]
    for name in hidden:  # whose import raises an ImportError
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        import nibabel  # noqa: F401
    finally:
        for name in hidden:
            del sys.modules[name]
    from voltween.io import read, write  # noqa: F401  # with SimpleITK and h5py
