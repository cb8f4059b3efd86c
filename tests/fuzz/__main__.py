"""Command line of the fuzz: `python -m fuzz [--count N] [--reader NAME] [--seed N]`."""

import argparse
import sys
import tempfile
from pathlib import Path

from fuzz.campaign import Campaign, table
from fuzz.subjects import BY_NAME


def main():
    """Runs mutants, prints faults and a table; exits with 1 if there were faults."""
    options = _options()
    readers = options.reader or list(BY_NAME)
    count = -(-options.count // len(readers))
    seeds = (
        [options.seed]
        if options.seed is not None
        else range(options.first, options.first + count)
    )
    outcomes = []
    with tempfile.TemporaryDirectory() as folder, Campaign(Path(folder)) as campaign:
        for reader in readers:
            for seed in seeds:
                outcome = campaign.run(reader, seed)
                outcomes.append(outcome)
                if outcome.is_fault or options.seed is not None or options.all:
                    print(outcome, flush=True)
    print(table(outcomes))
    sys.exit(any(outcome.is_fault for outcome in outcomes))


def _options():
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="mutants in all")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--reader", action="append", choices=sorted(BY_NAME))
    parser.add_argument(
        "--seed", type=int, help="only this mutant, and what became of it"
    )
    parser.add_argument("--all", action="store_true", help="print every outcome")
    return parser.parse_args()


if __name__ == "__main__":
    main()
