"""Drawing tools: anatomical planes, mosaics, figure files.

Sections are drawn in radiological orientation, in mm. Modules that need Matplotlib or
PyVista (`panels`, `rendering`) are imported by their path, where something is drawn.

The names are those of `__init__.pyi`, and a module is imported when one of its names
is first used: few pictures need notebooks or scenes.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
