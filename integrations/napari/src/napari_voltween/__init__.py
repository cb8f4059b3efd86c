"""Voltween in napari: a reader of scans, and a widget that registers two of them.

The world of the viewer is R, A, S in mm, as everywhere in Voltween: the reader gives
every scan its affine, and results lie on the fixed scan.
"""
