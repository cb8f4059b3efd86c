"""Fuzz of every reader: mutants of small files, read in a process with limits.

`python -m fuzz` (with `tests` on the path) runs it; see docs/reliability.md.
"""
