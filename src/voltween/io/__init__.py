"""Reads and writes images, label maps, points and transforms.

Everything read is in RAS+ mm, whatever frame the file uses. ITK, ANTs and Slicer store
LPS+ mm: the module `itk` converts between the two, and no other module knows LPS. A
transform maps fixed to moving world mm, in files too. Files are written whole or not at
all.

The names are those of `__init__.pyi`. A module is imported when one of its names is
first used: what reads DICOM, other tools' transforms and surfaces is rarely needed.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
