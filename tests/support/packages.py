"""Tests of what happens where an optional package is not installed."""

from voltween import process


def hide_packages(monkeypatch, *names):
    """As if the packages of these names were not installed."""
    installed = process.installed_version
    monkeypatch.setattr(
        process,
        "installed_version",
        lambda name: None if name in names else installed(name),
    )
