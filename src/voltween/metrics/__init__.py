"""Agreement of two scans: overlap, surfaces, landmarks, regularity of a transform.

Overlap and surface distances compare label arrays on one grid, fixed and moved.
Landmark distances are |T(fixed) - moving| in moving world mm, RAS+, or
|T^-1(moving) - fixed| in fixed world mm; inverse consistency is in fixed world mm.
Positions and transforms are those of `spatial`.

The names are those of `__init__.pyi`, and a module is imported when one of its names
is first used: one pair needs no distances of surfaces.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
