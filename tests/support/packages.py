"""Tests of what happens where an optional package is not installed."""

from voltween.process import running


def hide_packages(monkeypatch, *names):
    """As if the packages of these names were not installed."""
    installed = running.version
    monkeypatch.setattr(
        running,
        "version",
        lambda name: None if name in names else installed(name),
    )
