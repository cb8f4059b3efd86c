"""The command line `voltween`: one file per command.

A command reads its options and calls one function of the library. A command is imported
when it is named.
"""

from voltween.cli.app import main as main
