"""Reads and writes images, label maps, points and transforms.

Everything read is in RAS+ mm, whatever frame the file uses. ITK, ANTs and Slicer store
LPS+ mm: the module `itk` converts between the two, and no other module knows LPS. A
transform maps fixed to moving world mm, in files too. Files are written whole or not at
all.
"""

from voltween.io.conversion import Target as Target
from voltween.io.conversion import write_for as write_for
from voltween.io.dicom_labels import structure_names as structure_names
from voltween.io.dicom_registration import (
    write_dicom_registration as write_dicom_registration,
)
from voltween.io.field_writing import write_field as write_field
from voltween.io.hdf5 import hdf5_numbers as hdf5_numbers
from voltween.io.hdf5 import open_hdf5 as open_hdf5
from voltween.io.itk import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from voltween.io.itk import image_to_itk as image_to_itk
from voltween.io.objects import ImageLike as ImageLike
from voltween.io.objects import NibabelImage as NibabelImage
from voltween.io.objects import to_image as to_image
from voltween.io.objects import volume_from_nibabel as volume_from_nibabel
from voltween.io.objects import volume_from_sitk as volume_from_sitk
from voltween.io.points import is_points_file as is_points_file
from voltween.io.points import read_points as read_points
from voltween.io.reading import Contents as Contents
from voltween.io.reading import read as read
from voltween.io.reading import read_channels as read_channels
from voltween.io.reading import read_labels as read_labels
from voltween.io.size import grid_by_header as grid_by_header
from voltween.io.size import is_series as is_series
from voltween.io.surfaces import SURFACE_SUFFIXES as SURFACE_SUFFIXES
from voltween.io.surfaces import is_surface_file as is_surface_file
from voltween.io.surfaces import move_surface as move_surface
from voltween.io.transform_reading import Convention as Convention
from voltween.io.transform_reading import read_transform as read_transform
from voltween.io.writing import write as write
from voltween.io.writing import write_small as write_small
