"""The command lines `voltween` (one file per command) and `voltween-bids`.

A command reads its options and calls one function of the library. A command is imported
when it is named.
"""

from voltween.cli.app import bids_main as bids_main
from voltween.cli.app import main as main
