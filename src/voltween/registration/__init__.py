"""Registration of two scans, its result, and the folder that keeps it.

`register` takes images in scanner space (RAS+ mm) and returns a `Registration`, whose
`fixed_to_moving` maps points from fixed to moving mm.
"""

from voltween.registration.guidance import Guidance as Guidance
from voltween.registration.guidance import Side as Side
from voltween.registration.origin import Origin as Origin
from voltween.registration.origin import recording_warnings as recording_warnings
from voltween.registration.origin import versions as versions
from voltween.registration.outputs import OUTPUTS as OUTPUTS
from voltween.registration.outputs import RECORD as RECORD
from voltween.registration.outputs import Carried as Carried
from voltween.registration.outputs import check_outputs as check_outputs
from voltween.registration.outputs import choose_outputs as choose_outputs
from voltween.registration.pipeline import register as register
from voltween.registration.pipeline import register_by_network as register_by_network
from voltween.registration.pipeline import shown_alike as shown_alike
from voltween.registration.report import paint_report as paint_report
from voltween.registration.result import Registration as Registration
from voltween.registration.result import TweeningStage as TweeningStage
from voltween.registration.result_folder import (
    check_registration_folder as check_registration_folder,
)
from voltween.registration.result_folder import write_registration as write_registration
from voltween.registration.settling import AUTO as AUTO
from voltween.registration.settling import ModelChoice as ModelChoice
from voltween.registration.settling import RefinementChoice as RefinementChoice
from voltween.registration.settling import SettledModel as SettledModel
from voltween.registration.settling import settle_model as settle_model
from voltween.registration.settling import settle_named as settle_named
from voltween.registration.timing import begin_part as begin_part
from voltween.registration.timing import watching_parts as watching_parts
from voltween.registration.usual import Usual as Usual
from voltween.registration.usual import usual_of as usual_of
from voltween.registration.verdict import Criterion as Criterion
from voltween.registration.verdict import Evidence as Evidence
from voltween.registration.verdict import Grade as Grade
from voltween.registration.verdict import Verdict as Verdict
from voltween.registration.verdict import judge_transform as judge_transform
