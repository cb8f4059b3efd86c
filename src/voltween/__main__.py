"""`python -m voltween`: the command line."""

from voltween.cli import main

main()
