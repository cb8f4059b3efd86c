"""The installation under test: its versions, its machine, and a registration."""

from voltween.diagnosis.diagnosis import Diagnosis as Diagnosis
from voltween.diagnosis.diagnosis import diagnose as diagnose
from voltween.diagnosis.machine import Machine as Machine
from voltween.diagnosis.machine import describe_machine as describe_machine
from voltween.diagnosis.self_test import Check as Check
