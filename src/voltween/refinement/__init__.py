"""Instance optimization: the transform of one pair, optimized on the pair itself.

Images and flows are tensors on one grid, and lengths are in its voxels. The transform
maps fixed to moving and is given as `FlowParts`: an affine part after a dense part.
"""

from voltween.refinement.descent import Step as Step
from voltween.refinement.descent import Watch as Watch
from voltween.refinement.pair_losses import LEAST_UNMASKED_SHARE as LEAST_UNMASKED_SHARE
from voltween.refinement.pair_tensors import PairTensors as PairTensors
from voltween.refinement.pair_tensors import SideTensors as SideTensors
from voltween.refinement.pose_search import Pose as Pose
from voltween.refinement.pose_search import search_poses as search_poses
from voltween.refinement.presets import ACCURATE as ACCURATE
from voltween.refinement.presets import ACCURATE_ALONE as ACCURATE_ALONE
from voltween.refinement.presets import FAST as FAST
from voltween.refinement.presets import FAST_ALONE as FAST_ALONE
from voltween.refinement.presets import WITHOUT_MODEL as WITHOUT_MODEL
from voltween.refinement.presets import Effort as Effort
from voltween.refinement.presets import NamedRefinement as NamedRefinement
from voltween.refinement.presets import choose_refinement as choose_refinement
from voltween.refinement.presets import from_scratch as from_scratch
from voltween.refinement.presets import split_name as split_name
from voltween.refinement.problem import Problem as Problem
from voltween.refinement.search import find_affine_part as find_affine_part
from voltween.refinement.search import find_dense_part as find_dense_part
from voltween.refinement.search import find_transform as find_transform
from voltween.refinement.settings import FEATURES as FEATURES
from voltween.refinement.settings import FOR_ANY_CONTRAST as FOR_ANY_CONTRAST
from voltween.refinement.settings import AffineLevel as AffineLevel
from voltween.refinement.settings import ImageSimilarity as ImageSimilarity
from voltween.refinement.settings import Level as Level
from voltween.refinement.settings import Refinement as Refinement
from voltween.refinement.settings import RefinementSimilarity as RefinementSimilarity
from voltween.refinement.settings import TransformKind as TransformKind
