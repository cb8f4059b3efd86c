"""Tests of compiled modules, in a suite that also runs without them."""

import os
from importlib import import_module

import pytest

IS_OFF = os.environ.get("VOLTWEEN_INSTRUCTIONS") == "none"
_REASON = "the environment has turned the compiled operations off"

needs_native = pytest.mark.skipif(IS_OFF, reason=_REASON)


def compiled(package):
    """The compiled module of a package; the tests of a file that wants it, or none."""
    if IS_OFF:
        pytest.skip(_REASON, allow_module_level=True)
    return import_module(f"voltween.{package}._native")
