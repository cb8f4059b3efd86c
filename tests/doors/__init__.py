"""Doors: every place where a file enters the package; guards: what no door lets in."""
