"""The command line, as `voltween` and as `python -m voltween`."""

from voltween.starting import heed_interrupts, pause_collector, plan_quick_end


def main() -> None:
    """Runs the command line; an interrupt ends it from the first moment."""
    heed_interrupts()
    pause_collector()
    plan_quick_end()
    from voltween.cli import main as run  # what is slow to import

    run()


if __name__ == "__main__":
    main()
