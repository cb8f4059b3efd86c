"""The commands: their groups, and the first line of the help of each.

The module of this package that holds a command has its name, with _ for -.
"""

GROUPS = {
    "Use": {
        "register": "Register MOVING to FIXED and write the results to a folder.",
        "cohort": "Register many scans, and go on where an earlier run ended.",
        "apply": "Apply transforms to images, label maps, points and surfaces.",
        "convert": "Write a transform as another tool reads it, or read it from one.",
        "jacobian": "Write a map of the volume change of a transform (Jacobian).",
        "template": "Make a template of scans: their mean in shape and intensity.",
        "segment": "Carry the labels of several atlases to a scan, and fuse them.",
        "models": "List the models at hand, or show the card of one with its limits.",
        "demo": "Register two individuals made from the ICBM152 template.",
        "doctor": "Check this installation: versions, processor, memory, a test.",
        "schema": "Print the JSON schema of a file that Voltween writes.",
        "completion": "Print the script that completes commands in your shell.",
    },
    "Train": {
        "prepare": "Turn a downloaded cohort into images, labels and a manifest.",
        "split": "Divide cases into train, val and test, by subject.",
        "join": "Join the manifests of several cohorts to one.",
        "plan": "Inspect training scans and write training settings.",
        "synthesize": "Show the pairs that a training on synthesized scans sees.",
        "train": "Train a network on the `train` cases of a cohort.",
        "card": "Write the card of a model that you trained.",
        "import-rcn": "Turn a checkpoint of Recursive-Cascaded-Networks into a model.",
    },
    "Measure": {
        "evaluate": "Measure a model on pairs of a cohort: overlap, "
        "distances, folding.",
        "compare": "Measure models and other tools on the same pairs of a cohort.",
        "align": "Align all scans of a manifest to one of them with ANTs.",
        "bench": "Measure operations, cascades and trainings against PyTorch.",
    },
    "Paper": {
        "experiment": "Run a table of the paper on a cohort.",
        "figures": "Draw figures of a paper: cascade in 3D, sections, maps, curves.",
    },
}
"""Commands by purpose."""

COMMANDS = {name: text for group in GROUPS.values() for name, text in group.items()}
"""All commands, with the first line of the help of each."""

WITHOUT_PREFIXES = frozenset({"register", "cohort", "template", "segment"})
"""Commands whose nested options have no prefix, and whose flags have no opposite."""


def overview() -> str:
    """The help of `voltween` itself: its commands in groups, one line each."""
    width = max(map(len, COMMANDS)) + 2
    lines = [
        "Usage: voltween COMMAND ...",
        "",
        "Register 3D medical images with Volume Tweening Networks.",
        "",
        "Begin with two scans of your own, and look at result/report.html:",
        "  voltween register fixed.nii.gz moving.nii.gz --out result",
    ]
    for title, commands in GROUPS.items():
        lines += ["", f"{title}:"]
        lines += [f"  {name:{width}}{text}" for name, text in commands.items()]
    lines += [
        "",
        "  -h, --help  Show this help, or that of a command: voltween COMMAND --help.",
        "  --version   Show the version.",
    ]
    return "\n".join(lines)
