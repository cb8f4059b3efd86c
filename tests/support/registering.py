"""Registrations whose transforms are known, in place of those that take time."""

import json

from voltween import io
from voltween.batches import PairRow


class KnownRegistrations:
    """Writes what a cohort's folder holds of registrations, with known transforms.

    `answer` returns the transform from a fixed to a moving file; verdicts and signs are
    those of the moving names that are given, and good and 1 otherwise.
    """

    def __init__(self, answer, verdicts=(), signs=(), errors=()):
        self.answer, self.rounds = answer, []
        self.verdicts, self.signs, self.errors = map(dict, (verdicts, signs, errors))

    def __call__(self, works, folder):
        """Registers pairs in a folder; returns their rows."""
        self.rounds.append(folder.name)
        return [self.row(work, folder) for work in works]

    def row(self, work, folder):
        """The row of a pair, whose files are written."""
        if work.moving in self.errors:
            error = self.errors[work.moving]
            return PairRow(work.name, work.fixed, work.moving, "failed", error=error)
        place = folder / "cases" / work.name
        place.mkdir(parents=True, exist_ok=True)
        transform = self.answer(work.job.fixed, work.job.moving)
        io.write(transform, place / "fixed_to_moving.h5")
        evidence = {"sign": self.signs.get(work.moving, 1.0)}
        record = {"verdict": {"evidence": evidence}}
        (place / "registration.json").write_text(json.dumps(record))
        grade = self.verdicts.get(work.moving, "good")
        scores = {"verdict": grade, "reasons": "as the test wants it"}
        return PairRow(
            work.name,
            work.fixed,
            work.moving,
            "done",
            scores,
            folder=f"cases/{work.name}",
        )
