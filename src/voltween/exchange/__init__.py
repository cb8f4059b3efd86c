"""Images and label maps from and to nibabel, SimpleITK, PyTorch and TorchIO.

These functions stand behind the methods of `Image` and `LabelMap`, such as
`Image.from_nibabel`, which are what programs call. Voxels keep their places: RAS+ mm
here, in nibabel and in TorchIO, LPS+ mm in SimpleITK. A tensor has no place, and comes
with its grid.
"""

from voltween.exchange.tensors import from_torch as from_torch
from voltween.exchange.tensors import to_torch as to_torch
from voltween.exchange.torchio_images import from_torchio as from_torchio
from voltween.exchange.torchio_images import to_torchio as to_torchio
from voltween.exchange.volumes import from_nibabel as from_nibabel
from voltween.exchange.volumes import from_sitk as from_sitk
from voltween.exchange.volumes import to_nibabel as to_nibabel
from voltween.exchange.volumes import to_sitk as to_sitk
