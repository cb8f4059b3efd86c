"""The table of doors and guards, as it stands in docs/reliability.md."""

from doors.catalogue import DOORS, NOT_OPENED
from doors.files import BAD, GUARDS, REASONS

START, END = "<!-- doors -->\n", "<!-- end of doors -->"


def reason(door, guard):
    """Why a guard does not concern a door; empty if it does."""
    if guard == door.exempt[0]:
        return door.exempt[1]
    if guard == "overwritten":
        return "" if door.out else _no_output(door)
    if guard == "pipe" or guard in BAD[door.kind]:
        return ""
    return REASONS[door.kind, guard]


def _no_output(door):
    if door.name.startswith("`"):
        return "it writes nothing"
    return "its outputs have other names: `cli/test_overwriting.py`"


def table():
    """The Markdown table: a check mark per test, a number per reason."""
    reasons = dict.fromkeys(reason(d, g) for d in DOORS for g in GUARDS)
    reasons.pop("")
    numbers = {text: str(n) for n, text in enumerate(reasons, 1)}
    lines = [f"| door | {' | '.join(GUARDS)} |", f"|---|{':---:|' * len(GUARDS)}"]
    for door in DOORS:
        cells = [numbers.get(reason(door, guard), "✓") for guard in GUARDS]
        lines.append(f"| {door.name} | {' | '.join(cells)} |")
    notes = [f"{number}. {text}" for text, number in numbers.items()]
    folders = [f"- {name}: {text}" for name, text in NOT_OPENED.items()]
    parts = (
        *("", *lines, "", "Where a guard does not concern a door:", "", *notes, ""),
        *("Options that name folders:", "", *folders, ""),
    )
    return "\n".join(parts)
