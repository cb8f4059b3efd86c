"""The command line: `voltween`, `python -m voltween`, and `voltween-bids`."""

from voltween.starting import (
    heed_interrupts,
    let_threads_sleep,
    pause_collector,
    plan_quick_end,
)


def main() -> None:
    """Runs the command line; an interrupt ends it from the first moment."""
    heed_interrupts()
    let_threads_sleep()
    pause_collector()
    plan_quick_end()
    from voltween.cli import main as run  # what is slow to import

    run()


def bids() -> None:
    """Runs the BIDS App, `voltween-bids`."""
    heed_interrupts()
    let_threads_sleep()
    pause_collector()
    from voltween.cli import bids_main as run

    run()


if __name__ == "__main__":
    main()
