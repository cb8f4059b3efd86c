"""Cohorts of scans: manifests, cases and pairs, and the preparation of downloads.

Scans are read as images, label maps and points in RAS+ mm. A pair names its fixed case
first. The recipes of single downloads are in `downloads`.
"""

from voltween.cohorts.cases import Scan as Scan
from voltween.cohorts.cases import check_scans as check_scans
from voltween.cohorts.cases import load_case as load_case
from voltween.cohorts.cases import mask_by_labels as mask_by_labels
from voltween.cohorts.cases import read_case_labels as read_case_labels
from voltween.cohorts.cases import read_scan as read_scan
from voltween.cohorts.choices import PreparationOptions as PreparationOptions
from voltween.cohorts.downloads.catalogue import DOWNLOADS as DOWNLOADS
from voltween.cohorts.downloads.catalogue import download_named as download_named
from voltween.cohorts.joining import join_manifests as join_manifests
from voltween.cohorts.label_names import LabelNumbers as LabelNumbers
from voltween.cohorts.manifest import cases_of_split as cases_of_split
from voltween.cohorts.manifest import read_manifest as read_manifest
from voltween.cohorts.manifest import write_manifest as write_manifest
from voltween.cohorts.manifest import write_new_manifest as write_new_manifest
from voltween.cohorts.manifest_row import SPLITS as SPLITS
from voltween.cohorts.manifest_row import Case as Case
from voltween.cohorts.name_files import read_structures as read_structures
from voltween.cohorts.pairs import Pair as Pair
from voltween.cohorts.pairs import atlas_pairs as atlas_pairs
from voltween.cohorts.pairs import check_pairs as check_pairs
from voltween.cohorts.pairs import draw_pairs as draw_pairs
from voltween.cohorts.pairs import ordered_pairs as ordered_pairs
from voltween.cohorts.pairs import read_pairs as read_pairs
from voltween.cohorts.preparation import PreparedCohort as PreparedCohort
from voltween.cohorts.preparation import prepare as prepare
from voltween.cohorts.splitting import split_cases as split_cases
