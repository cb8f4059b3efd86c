"""The exit codes of all commands, except those after a signal (`process.stopping`)."""

EXIT_SOME_FAILED = 1
"""Some of many scans, pairs or cases failed; the others are done."""
EXIT_ERROR = 2
"""An error that the user can solve: one line says how."""
EXIT_FAILED = 3
"""A verdict is failed, with --strict; or the self-test failed."""
EXIT_UNREAD = 141
"""Nobody reads the output: 128 and the number of SIGPIPE, by which other programs end;
Python has no such signal on Windows."""
