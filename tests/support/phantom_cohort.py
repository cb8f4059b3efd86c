"""A cohort of six small scans to one of them, and what its command must make."""

from support.commands import run_here
from support.phantoms import write_manifest_of, write_phantoms
from voltween.storage import Store

NAMES = [f"s-{number}" for number in range(1, 6)]
"""The pairs."""
_CHEAP = ("--model", "none", "--refine", 4, "--outputs", "moved,transform")


def write_cases(folder):
    """Writes the scans and their manifest; returns the folder."""
    shifts = {"s-0": (0, 0, 0)}
    shifts |= {name: (number, -2 * number, 2) for number, name in enumerate(NAMES)}
    write_phantoms(folder, shifts)
    write_manifest_of(folder, shifts, roles=())
    return folder


def words(scans, out, *more):
    """The words of the command."""
    to = ["--fixed", "s-0", "--out", out]
    return ["cohort", scans / "cases.csv", *to, *_CHEAP, *more]


def run_alone(scans, out):
    """Runs the command in this process; returns its folder."""
    assert run_here(*words(scans, out)) == 0
    return out


def records(out):
    """Names of the pairs that are done."""
    paths = (out / "records").glob("*.json")
    return sorted(p.stem for p in paths if Store(out, "records").read(p.stem))


def results(out):
    """The bytes of all results without their records, which have times."""
    return {
        path.relative_to(out): path.read_bytes()
        for path in (out / "cases").rglob("*")
        if path.is_file() and path.name != "registration.json"
    }


def times(out):
    """When every file of the results was written."""
    files = (path for path in (out / "cases").rglob("*") if path.is_file())
    return {path: path.stat().st_mtime_ns for path in files}
