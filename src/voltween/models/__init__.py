"""Trained networks with their preprocessing, on disk, and the models that are shipped.

A model takes scans in scanner space (RAS+ mm) to its network's input, and its network
finds a flow in voxels of the canonical grid, from fixed to moving.
"""

from voltween.models.choice import Choice as Choice
from voltween.models.choice import check_fit as check_fit
from voltween.models.choice import choose_model as choose_model
from voltween.models.differences import different_settings as different_settings
from voltween.models.differences import in_one_line as in_one_line
from voltween.models.facts import dataclass_from_facts as dataclass_from_facts
from voltween.models.features import FeatureModel as FeatureModel
from voltween.models.features import FeatureVolume as FeatureVolume
from voltween.models.features import choose_features as choose_features
from voltween.models.features import features_digest as features_digest
from voltween.models.features import load_features as load_features
from voltween.models.features import normalize_features as normalize_features
from voltween.models.features import save_features as save_features
from voltween.models.features import shipped_features as shipped_features
from voltween.models.fingerprint import ModelFingerprint as ModelFingerprint
from voltween.models.library import is_model_name as is_model_name
from voltween.models.library import model_card as model_card
from voltween.models.library import model_path as model_path
from voltween.models.library import path_for_own_model as path_for_own_model
from voltween.models.library import shipped_models as shipped_models
from voltween.models.library import user_folder as user_folder
from voltween.models.library import user_models as user_models
from voltween.models.model import Model as Model
from voltween.models.model import fingerprint_in as fingerprint_in
from voltween.models.model import load_model as load_model
from voltween.models.model import network_tensors as network_tensors
from voltween.models.model import save_model as save_model
from voltween.models.model import weights_digest as weights_digest
from voltween.models.rcn import read_rcn_network as read_rcn_network
from voltween.models.tensor_files import SUFFIX as SUFFIX
from voltween.models.tensor_files import read_tensors as read_tensors
from voltween.models.tensor_files import tensors_under as tensors_under
from voltween.models.tensor_files import write_tensors as write_tensors
