"""Registration in a process of its own, for programs with a window, such as 3D Slicer.

The program's own process stays free, keeps its own copy of ITK, and survives whatever
happens to the other. Importing this package imports neither PyTorch nor ITK. Files are
as those of `voltween register`; fixed_to_moving maps fixed to moving world mm.
"""

from voltween.hosting.request import EFFORTS as EFFORTS
from voltween.hosting.request import MODELS as MODELS
from voltween.hosting.request import SIMILARITIES as SIMILARITIES
from voltween.hosting.request import TRANSFORMS as TRANSFORMS
from voltween.hosting.request import Request as Request
from voltween.hosting.running import Outcome as Outcome
from voltween.hosting.running import Progress as Progress
from voltween.hosting.running import Running as Running
from voltween.hosting.running import start as start
