__version__: str

from .errors import InputError as InputError
from .io import read as read
from .io import read_labels as read_labels
from .io import read_points as read_points
from .io import read_transform as read_transform
from .io import write as write
from .models import Model as Model
from .models import load_model as load_model
from .refinement import ACCURATE as ACCURATE
from .refinement import ACCURATE_ALONE as ACCURATE_ALONE
from .refinement import FAST as FAST
from .refinement import FAST_ALONE as FAST_ALONE
from .refinement import Refinement as Refinement
from .registration import Guidance as Guidance
from .registration import Registration as Registration
from .registration import Side as Side
from .registration import Verdict as Verdict
from .registration import register as register
from .spatial import Affine as Affine
from .spatial import Composite as Composite
from .spatial import DisplacementField as DisplacementField
from .spatial import Grid as Grid
from .spatial import Image as Image
from .spatial import LabelMap as LabelMap
from .spatial import Points as Points
from .spatial import Transform as Transform
