"""What a user can do something about: one line, said once, no traceback in the CLI."""


class InputError(ValueError):
    """A file, option or image that Voltween cannot work with.

    The message is one line: what it is about, what was expected, what was got, and
    what to do.
    """


class InverseWarning(UserWarning):
    """An inverse transform that is not exact everywhere, because the field folds."""


class FoldingWarning(UserWarning):
    """A transform that folds, where it was asked not to."""


class OutputError(InputError):
    """A file or folder that cannot be written: no fault of what was to be in it."""


class MissingPackageError(InputError):
    """An optional package is not installed; the message says what to install."""
