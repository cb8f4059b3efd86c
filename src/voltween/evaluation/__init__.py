"""Evaluation of registration methods on the pairs of a cohort, and its records.

Transforms map fixed to moving world, RAS+ mm; all methods are measured on the fixed
scan's grid. Distances are in mm, in the frames of `voltween.metrics`. Tables and plots
are in `report`, the experiments of the paper in `paper`.
"""

from voltween.evaluation.alignment import align_cases as align_cases
from voltween.evaluation.alignment import new_alignment as new_alignment
from voltween.evaluation.comparison import ComparedPair as ComparedPair
from voltween.evaluation.comparison import read_compared_pair as read_compared_pair
from voltween.evaluation.method_names import Preparation as Preparation
from voltween.evaluation.method_names import method_named as method_named
from voltween.evaluation.method_names import methods_named as methods_named
from voltween.evaluation.methods import Method as Method
from voltween.evaluation.methods import model_method as model_method
from voltween.evaluation.pair_selection import PairSelection as PairSelection
from voltween.evaluation.pair_work import EvaluationProtocol as EvaluationProtocol
from voltween.evaluation.paper.experiment import ExperimentRun as ExperimentRun
from voltween.evaluation.paper.experiment import Observer as Observer
from voltween.evaluation.paper.experiment import run_experiment as run_experiment
from voltween.evaluation.paper.needs import RowNeeds as RowNeeds
from voltween.evaluation.paper.needs import experiment_needs as experiment_needs
from voltween.evaluation.paper.scales import ScaleName as ScaleName
from voltween.evaluation.paper.settings import ExperimentSettings as ExperimentSettings
from voltween.evaluation.paper.table_file import PaperTable as PaperTable
from voltween.evaluation.paper.table_file import read_experiment as read_experiment
from voltween.evaluation.report.report_folder import (
    check_report_folder as check_report_folder,
)
from voltween.evaluation.report.report_folder import write_report as write_report
from voltween.evaluation.runner import EvaluationInterrupted as EvaluationInterrupted
from voltween.evaluation.runner import evaluate as evaluate
from voltween.evaluation.scores import PairScore as PairScore
