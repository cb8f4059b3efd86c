"""Methods measured on the pairs of a cohort; the records that are kept.

Distances are in mm; see `voltween.metrics` for their frames. Tables and plots are in
`report`, the paper's experiments in `paper`.
"""

from voltween.evaluation.alignment import align_cases as align_cases
from voltween.evaluation.alignment import new_alignment as new_alignment
from voltween.evaluation.alignment import prealign as prealign
from voltween.evaluation.alignment import read_alignment as read_alignment
from voltween.evaluation.comparison import ComparedPair as ComparedPair
from voltween.evaluation.comparison import read_compared_pair as read_compared_pair
from voltween.evaluation.methods import Method as Method
from voltween.evaluation.methods import method_named as method_named
from voltween.evaluation.methods import model_method as model_method
from voltween.evaluation.paper.experiment import Observer as Observer
from voltween.evaluation.paper.experiment import run_experiment as run_experiment
from voltween.evaluation.paper.experiment import table as table
from voltween.evaluation.paper.scales import ScaleName as ScaleName
from voltween.evaluation.paper.table_file import read_experiment as read_experiment
from voltween.evaluation.report.report_folder import write_report as write_report
from voltween.evaluation.runner import Protocol as Protocol
from voltween.evaluation.runner import evaluate as evaluate
from voltween.evaluation.scores import PairScore as PairScore
from voltween.evaluation.voxelmorph import voxelmorph_method as voxelmorph_method
