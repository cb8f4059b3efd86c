"""Benchmarks: the package's operations and networks against plain PyTorch.

`voltween bench` runs them. Nothing else in the package imports this subpackage.
"""
