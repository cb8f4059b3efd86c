"""Losses of training and of instance optimization, and the names of similarities.

Every loss is a scalar without a unit, the mean over the batch, and smallest at the
ideal. Images are (B, C, I, J, K) tensors with intensities from 0 to 1, flows
(B, 3, I, J, K) in voxels, fixed to moving.
"""

from voltween.losses.information import mutual_information as mutual_information
from voltween.losses.information import (
    mutual_information_loss as mutual_information_loss,
)
from voltween.losses.information import (
    normalized_mutual_information_loss as normalized_mutual_information_loss,
)
from voltween.losses.named import Measure as Measure
from voltween.losses.named import Similarity as Similarity
from voltween.losses.named import SimilarityLoss as SimilarityLoss
from voltween.losses.named import feature_measure as feature_measure
from voltween.losses.named import measure_named as measure_named
from voltween.losses.named import measure_of as measure_of
from voltween.losses.named import name_of_loss as name_of_loss
from voltween.losses.named import similarity_loss as similarity_loss
from voltween.losses.regularity import determinant_loss as determinant_loss
from voltween.losses.regularity import invertibility_loss as invertibility_loss
from voltween.losses.regularity import orthogonality_loss as orthogonality_loss
from voltween.losses.regularity import total_variation_loss as total_variation_loss
from voltween.losses.similarity import check_window as check_window
from voltween.losses.similarity import correlation as correlation
from voltween.losses.similarity import correlation_loss as correlation_loss
from voltween.losses.similarity import local_correlation_loss as local_correlation_loss
from voltween.losses.similarity import mean_squared_error as mean_squared_error
from voltween.losses.supervision import dice_loss as dice_loss
from voltween.losses.supervision import end_point_error as end_point_error
from voltween.losses.supervision import landmark_distance as landmark_distance
