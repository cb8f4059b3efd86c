"""Templates of cohorts: the mean of scans in shape and intensity, round by round.

A template is an image in RAS+ mm with one transform per scan, which maps template mm to
the scan's mm: the template is the fixed image, and the scan the moving one. Every round
registers all scans to the template and averages them in their mean shape.
"""

from voltween.templates.averaging import AlignedScan as AlignedScan
from voltween.templates.averaging import average_of as average_of
from voltween.templates.averaging import average_scans as average_scans
from voltween.templates.averaging import sharpened as sharpened
from voltween.templates.building import build_template as build_template
from voltween.templates.mean_shape import mean_affine as mean_affine
from voltween.templates.mean_shape import mean_log_stretch as mean_log_stretch
from voltween.templates.mean_shape import mean_pose as mean_pose
from voltween.templates.mean_shape import nearest_affine as nearest_affine
from voltween.templates.mean_shape import shape_update as shape_update
from voltween.templates.options import AveragingOptions as AveragingOptions
from voltween.templates.options import TemplateOptions as TemplateOptions
from voltween.templates.result import SUMMARY as SUMMARY
from voltween.templates.result import TEMPLATE as TEMPLATE
from voltween.templates.result import TemplateResult as TemplateResult
from voltween.templates.survey import Survey as Survey
from voltween.templates.survey import survey_image as survey_image
