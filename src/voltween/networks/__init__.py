"""The paper's networks, a VoxelMorph network to compare with, and fast inference.

A network takes a fixed and a moving image (B, 1, I, J, K) on its grid, with intensities
from 0 to 1, and returns a `Tweening`: flows in voxels that map fixed to moving.
"""

from voltween.networks.affine import AffineSubnetwork as AffineSubnetwork
from voltween.networks.blocks import level_channels as level_channels
from voltween.networks.blocks import without_autocast as without_autocast
from voltween.networks.cascade import CascadeConfig as CascadeConfig
from voltween.networks.cascade import Stage as Stage
from voltween.networks.cascade import Tweening as Tweening
from voltween.networks.cascade import VolumeTweeningNetwork as VolumeTweeningNetwork
from voltween.networks.convolution import Padding as Padding
from voltween.networks.dense import DenseSubnetwork as DenseSubnetwork
from voltween.networks.edges import Sight as Sight
from voltween.networks.features import FeatureConfig as FeatureConfig
from voltween.networks.features import FeatureNetwork as FeatureNetwork
from voltween.networks.inference import Precision as Precision
from voltween.networks.inference import Registrar as Registrar
from voltween.networks.inference import has_fast_bf16 as has_fast_bf16
from voltween.networks.inference import optimize as optimize
from voltween.networks.inference import pack as pack
from voltween.networks.kinds import Network as Network
from voltween.networks.kinds import NetworkConfig as NetworkConfig
from voltween.networks.kinds import build as build
from voltween.networks.kinds import config_facts as config_facts
from voltween.networks.kinds import config_from_facts as config_from_facts
from voltween.networks.kinds import weights_for as weights_for
from voltween.networks.pattern import has_pattern as has_pattern
from voltween.networks.pattern import remove_pattern as remove_pattern
from voltween.networks.voxelmorph import VOXELMORPH_2_FEATURES as VOXELMORPH_2_FEATURES
from voltween.networks.voxelmorph import VoxelMorphConfig as VoxelMorphConfig
from voltween.networks.voxelmorph import VoxelMorphNetwork as VoxelMorphNetwork
from voltween.networks.voxelmorph import build_voxelmorph as build_voxelmorph
