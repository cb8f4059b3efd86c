"""Locks and open files as Windows has them, on another system."""

import errno
import os
from types import SimpleNamespace

from voltween.storage import locks


def locks_of_windows(monkeypatch):
    """Replaces the locks of this system; open files cannot be deleted.

    Only files that `os.open` has opened count as open.
    """
    opened, locked = [], []
    really_open, really_close, really_unlink = os.open, os.close, os.unlink

    def open_(path, *options, **more):
        descriptor = really_open(path, *options, **more)
        opened.append((descriptor, _file(descriptor)))
        return descriptor

    def close(descriptor):
        for each in (opened, locked):
            each[:] = [entry for entry in each if entry[0] != descriptor]
        really_close(descriptor)

    def unlink(path, *, dir_fd=None):
        if _is_in(opened, os.stat(path, dir_fd=dir_fd)):
            raise PermissionError(errno.EACCES, "in use")
        really_unlink(path, dir_fd=dir_fd)

    def lock(descriptor, mode, count):
        if _is_in(locked, os.fstat(descriptor)):
            raise PermissionError(errno.EACCES, "locked")
        locked.append((descriptor, _file(descriptor)))

    monkeypatch.setattr(locks, "fcntl", None)
    windows = SimpleNamespace(locking=lock, LK_NBLCK=2)
    monkeypatch.setattr(locks, "msvcrt", windows, raising=False)
    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(os, "close", close)
    monkeypatch.setattr(os, "unlink", unlink)


def _file(descriptor):
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _is_in(entries, status):
    return (status.st_dev, status.st_ino) in [file for _, file in entries]
