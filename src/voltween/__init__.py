"""Voltween registers 3D medical images with Volume Tweening Networks.

Scans are read into scanner space (RAS+ mm), registered by a trained cascade of an
affine and several dense networks, and the result is a transform between the scans' own
worlds: `fixed_to_moving` carries points from fixed to moving and images from moving to
fixed.

    import voltween as vt
    result = vt.register(vt.read(f), vt.read(m), model=vt.load_model("brain"))
    vt.write(result.moved, "moved.nii.gz")
    vt.write(result.fixed_to_moving, "fixed_to_moving.h5")

The names that people use are handed on from here and listed in `__init__.pyi`; each
package is imported when one of its names is first used. The packages:

    spatial        grids, images, label maps, points, transforms (RAS+ mm)
    io             files of these; LPS is known nowhere else
    metrics        overlap, surfaces, landmarks, regularity
    preprocessing  from a scan to the input of a network
    figures        drawing tools
    reports        HTML pages of results
    ops            warp, compose, Jacobian: flows in voxels
    losses         what training and instance optimization minimize
    networks       affine, dense, cascade; VoxelMorph-2
    refinement     instance optimization of one pair
    models         trained networks on disk, the shipped ones
    exchange       images from and to nibabel, SimpleITK, PyTorch, TorchIO
    registration   register two scans; the result and its folder
    cohorts        manifest, pairs, cases; from a download to a manifest
    baselines      other tools, (fixed, moving) -> Transform
    training       recipe, plan, loop, run folder
    evaluation     methods on pairs, measured and kept; reports; the paper's tables
    demo           the main job on data that needs no download
    benchmarks     speed, against plain PyTorch
    hosting        a registration in a process of its own, for programs with a window
    cli            one file per command
"""

_attached: tuple = ()


def __getattr__(name: str) -> object:
    """Names of `__init__.pyi`; the version is read when it is asked for."""
    if name == "__version__":
        from importlib.metadata import version  # a tenth of a second

        return version(__name__)
    import_name, _, names = _attach()
    return names if name == "__all__" else import_name(name)


def __dir__() -> list[str]:
    """The names of `__init__.pyi`."""
    return _attach()[1]()


def _attach() -> tuple:
    """The functions that import a name and list the names, and the names."""
    global _attached
    if not _attached:
        import lazy_loader  # not before interrupts are heeded

        _attached = lazy_loader.attach_stub(__name__, __file__)
    return _attached
