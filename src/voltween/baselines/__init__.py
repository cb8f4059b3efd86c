"""Other tools for the same work, each a function (fixed, moving) -> Transform."""
