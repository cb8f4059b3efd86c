"""Files of images, label maps, points and transforms, read into scanner space.

What comes out is in RAS+ mm, whatever the file says it is in. ITK, ANTs and Slicer
store LPS+ mm: the module `itk` converts it, and LPS is known nowhere else. A file is
written whole or not at all.
"""

from voltween.io.points import read_points as read_points
from voltween.io.reading import read as read
from voltween.io.reading import read_labels as read_labels
from voltween.io.reading import read_transform as read_transform
from voltween.io.writing import write as write
