"""Registration of two scans, its result, and the folder that keeps it.

`register` takes images in scanner space (RAS+ mm) and returns a `Registration`, whose
`fixed_to_moving` maps points from fixed to moving mm.
"""

from voltween.registration.guidance import Guidance as Guidance
from voltween.registration.guidance import Side as Side
from voltween.registration.origin import Origin as Origin
from voltween.registration.origin import recording_warnings as recording_warnings
from voltween.registration.outputs import OUTPUTS as OUTPUTS
from voltween.registration.outputs import choose_outputs as choose_outputs
from voltween.registration.pipeline import register as register
from voltween.registration.result import Registration as Registration
from voltween.registration.result_folder import (
    check_registration_folder as check_registration_folder,
)
from voltween.registration.result_folder import write_registration as write_registration
