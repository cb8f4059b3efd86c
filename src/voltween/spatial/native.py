"""The kernels of scanner space: compiled, or those of NumPy and SciPy without them."""

from typing import TYPE_CHECKING

from voltween.process import load_compiled

if TYPE_CHECKING:
    import voltween.spatial._native as native
else:
    native = load_compiled("voltween.spatial._native")
    if native is None:
        import voltween.spatial.stock as native

__all__ = ["native"]
