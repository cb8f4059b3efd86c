"""Trained networks with their preprocessing, on disk, and the models that are shipped.

A model takes scans in scanner space (RAS+ mm) to its network's input, and its network
finds a flow in voxels of the canonical grid, from fixed to moving.

The names are those of `__init__.pyi`, and a module is imported when one of its names
is first used: few runs need checkpoints of other programs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
