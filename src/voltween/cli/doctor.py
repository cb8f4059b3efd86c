"""Command: check the installation."""

from dataclasses import asdict, dataclass

from rich.table import Table

from voltween.cli.console import console
from voltween.cli.exit_codes import EXIT_FAILED
from voltween.cli.progress import changing_line
from voltween.cli.results import give_result
from voltween.diagnosis import Diagnosis, diagnose


@dataclass(frozen=True)
class Doctor:
    """Check this installation: versions, processor, memory, a test.

    The test compares native operations with known answers, loads the shipped models,
    and registers two phantoms whose transform is known: about ten seconds. The exit
    code is 3 if a part of it fails. Put the output into a report of a fault.
    """

    def run(self) -> None:
        """Check and show."""
        with changing_line("Testing ...") as show:
            diagnosis = diagnose(lambda name: show(f"Testing {name} ..."))
        give_result(**asdict(diagnosis), works=diagnosis.works, advice=diagnosis.advice)
        _show(diagnosis)
        if not diagnosis.works:
            raise SystemExit(EXIT_FAILED)


def _show(diagnosis: Diagnosis) -> None:
    """Shows the facts, the parts of the test, and the verdict."""
    facts = Table("", "", show_header=False, box=None, pad_edge=False)
    for name, text in _facts(diagnosis).items():
        facts.add_row(name, text)
    for check in diagnosis.checks:
        word = "passed" if check.has_passed else "FAILED"
        text = f"{word} in {check.seconds:.1f} s: {check.finding}"
        facts.add_row(f"test of {check.name}", text)
    console.print(facts)
    for line in diagnosis.advice:
        console.print(f"Note: {line}.")
    style = "bold green" if diagnosis.works else "bold red"
    verdict = "works" if diagnosis.works else "does not work"
    console.print(f"Verdict: this installation {verdict}.", style=style)


def _facts(diagnosis: Diagnosis) -> dict[str, str]:
    machine, versions = diagnosis.machine, diagnosis.versions
    return {
        "voltween": versions["voltween"],
        "Python": f"{machine.python} on {machine.system}",
        "packages": ", ".join(
            f"{name} {text}" for name, text in versions.items() if name != "voltween"
        ),
        "processor": f"{machine.processor}, {machine.cores} cores, "
        f"{machine.threads} threads",
        "instruction set": f"{machine.used_instruction_set} "
        f"(of {', '.join(machine.instruction_sets) or 'none that is known'})",
        "memory": _memory(machine.memory_bytes, diagnosis.free_bytes),
        "GPU": diagnosis.gpu or "none that PyTorch can use",
        "extras": "; ".join(
            f"{name} lacks {', '.join(missing)}" if missing else name
            for name, missing in diagnosis.extras.items()
        )
        or "unknown, as voltween is not installed as a package",
        "models": f"{', '.join(diagnosis.models)}; your own in {diagnosis.own_models}",
    }


def _memory(total: int | None, free: int | None) -> str:
    if total is None:
        return "unknown"
    text = f"{total / 1e9:.1f} GB"
    return text if free is None else f"{text}, {free / 1e9:.1f} GB free"
