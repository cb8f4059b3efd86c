"""Training of networks: a cohort's fingerprint, plan and recipe, the loop, its folder.

Samples are tensors on the canonical grid of the preprocessing, indexed by voxels along
R, A, S; intensities are 0 to 1, flows in voxels from fixed to moving.
"""

from voltween.training.augmentation import Augmentation as Augmentation
from voltween.training.card import CardWords as CardWords
from voltween.training.card import check_own_name as check_own_name
from voltween.training.card import keep_as_own_model as keep_as_own_model
from voltween.training.card import write_card as write_card
from voltween.training.curves import curves_figure as curves_figure
from voltween.training.dry_run import DryRun as DryRun
from voltween.training.dry_run import try_training as try_training
from voltween.training.fine_tuning import fine_tuned as fine_tuned
from voltween.training.fine_tuning import notes_that_hold as notes_that_hold
from voltween.training.fingerprint import describe_fingerprint as describe_fingerprint
from voltween.training.fingerprint import measure_fingerprint as measure_fingerprint
from voltween.training.hardware import Hardware as Hardware
from voltween.training.logs import StepReport as StepReport
from voltween.training.loop import recipe_facts as recipe_facts
from voltween.training.loop import train as train
from voltween.training.objective import RCN as RCN
from voltween.training.objective import SUPERVISED as SUPERVISED
from voltween.training.objective import VOXELMORPH as VOXELMORPH
from voltween.training.objective import VTN_LIVER as VTN_LIVER
from voltween.training.objective import Objective as Objective
from voltween.training.objective import stage_losses as stage_losses
from voltween.training.objective import total_loss as total_loss
from voltween.training.options import TrainingOptions as TrainingOptions
from voltween.training.options import default_training as default_training
from voltween.training.options import read_recipe as read_recipe
from voltween.training.outcome import Outcome as Outcome
from voltween.training.outcome import read_outcome as read_outcome
from voltween.training.overrides import option_names as option_names
from voltween.training.plan_file import TrainingPlan as TrainingPlan
from voltween.training.plan_file import read_plan as read_plan
from voltween.training.plan_file import write_plan as write_plan
from voltween.training.planning import FLOW_MULTIPLIER as FLOW_MULTIPLIER
from voltween.training.planning import fit_box as fit_box
from voltween.training.planning import fit_preprocessing as fit_preprocessing
from voltween.training.planning import plan as plan
from voltween.training.recipe import PUBLISHED_TRAINING as PUBLISHED_TRAINING
from voltween.training.recipe import RCN_TRAINING as RCN_TRAINING
from voltween.training.recipe import SHIPPED_AUGMENTATION as SHIPPED_AUGMENTATION
from voltween.training.recipe import SHIPPED_LEARNING_RATE as SHIPPED_LEARNING_RATE
from voltween.training.recipe import SYNTHESIS_TRAINING as SYNTHESIS_TRAINING
from voltween.training.recipe import VOXELMORPH_TRAINING as VOXELMORPH_TRAINING
from voltween.training.recipe import Recipe as Recipe
from voltween.training.recipe import TrainConfig as TrainConfig
from voltween.training.recipe import TrainingPrecision as TrainingPrecision
from voltween.training.synthesis import Synthesis as Synthesis
from voltween.training.synthesized import SynthesizedPair as SynthesizedPair
from voltween.training.synthesized import synthesized_pairs as synthesized_pairs
from voltween.training.validation import StageValidation as StageValidation
