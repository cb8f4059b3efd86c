"""Registration of two scans, its result, and the folder that keeps it.

`register` takes images in scanner space (RAS+ mm) and returns a `Registration`, whose
`fixed_to_moving` maps points from fixed to moving mm.
"""

from voltween.registration.guidance import Guidance as Guidance
from voltween.registration.guidance import Side as Side
from voltween.registration.pipeline import register as register
from voltween.registration.result import Registration as Registration
from voltween.registration.result_folder import write_registration as write_registration
