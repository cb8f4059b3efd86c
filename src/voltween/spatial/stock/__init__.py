"""The kernels of scanner space by NumPy and SciPy, where the compiled ones are missing.

The functions are those of `voltween.spatial._native`, with the same arguments: results
are written into the array given, and the last argument is the number of threads.
Results agree with the compiled ones within rounding, and inverses within the tolerance
asked for. Volumes are taken in parts, so that positions need little memory.
"""

from voltween.spatial.stock.chain import Chain as Chain
from voltween.spatial.stock.chain import map as map
from voltween.spatial.stock.filtering import smooth as smooth
from voltween.spatial.stock.filtering import solve_splines as solve_splines
from voltween.spatial.stock.inversion import invert as invert
from voltween.spatial.stock.inversion import invert_field as invert_field
from voltween.spatial.stock.volumes import determinants as determinants
from voltween.spatial.stock.volumes import displacements as displacements
from voltween.spatial.stock.volumes import lengths as lengths
from voltween.spatial.stock.volumes import pick as pick
from voltween.spatial.stock.volumes import sample as sample
