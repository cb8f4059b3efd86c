"""The groups in which help shows the options of commands that have many."""

from collections.abc import Sequence

from voltween.cli.parameters import Parameter

_REGISTRATION = {
    "Refinement": (
        *("transform", "similarity", "beside-features", "image-weight", "regularity"),
        *("voxels", "diffeomorphic", "symmetric", "seconds", "channel-weights"),
    ),
    "Guidance": (
        *("initial", "fixed-mask", "moving-mask", "fixed-labels", "moving-labels"),
        *("fixed-points", "moving-points", "fixed-channels", "moving-channels"),
        *("guide-by-labels", "guide-by-points"),
    ),
    "Output": (
        *("outputs", "jacobian", "structures", "report-crop", "viewer", "strict"),
        *("bids", "retry-failed"),
    ),
}
_WORKERS = (
    *("workers", "threads", "worker-memory-gb", "scheduler", "slurm", "jobs"),
    *("dashboard", "part", "print-sbatch"),
)
_BASIC = "Basic"
_FIRST = ("out", "model", "methods", "refine", "device", "objective", "fine-tune")
_TITLES = {
    **dict.fromkeys(("register", "cohort", "template", "segment"), _REGISTRATION),
    "train": {
        "Network and grid": (
            *("network", "cascade", "shape", "spacing-mm", "placement", "channels"),
            *("hounsfield-window", "levels", "affine-levels", "flow-multiplier"),
            *("repeats", "padding", "sees"),
        ),
        "Steps": (
            *("steps", "learning-rate", "pairs-per-step", "pairs-at-once"),
            *("steps-per-epoch", "full-rate-epochs", "averaged-steps", "masked-share"),
            *("labels-per-pair", "seed", "precision", "recompute-features"),
            *("target-pairs", "teacher"),
        ),
        "Validation": (
            *("validate-every", "validation-pairs", "patience", "kept-states"),
            "names-cases",
        ),
        "Hardware": ("accelerator", "devices", "nodes", "workers"),
    },
}
_PREFIXED = {"objective": "Losses"}


def in_groups(
    command: str, parameters: Sequence[Parameter]
) -> dict[str, list[Parameter]]:
    """The options of a command by the titles of their groups, Basic first."""
    groups = {_BASIC: _FIRST, **_TITLES.get(command, {}), "Workers": _WORKERS}
    titles = {name: title for title, names in groups.items() for name in names}
    places = {name: n for n, name in enumerate(titles)}
    found: dict[str, list[Parameter]] = {title: [] for title in groups}
    for parameter in sorted(
        (p for p in parameters if not p.is_argument),
        key=lambda p: places.get(p.name.removeprefix("--"), len(_FIRST)),
    ):
        name = parameter.name.removeprefix("--")
        prefix = name.partition(".")[0] if "." in name else ""
        title = _PREFIXED.get(prefix, prefix.capitalize())
        found.setdefault(title or titles.get(name, _BASIC), []).append(parameter)
    return found
