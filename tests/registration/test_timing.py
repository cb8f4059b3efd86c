"""Both clocks: what passed, and what the processor did."""

import time

from voltween.registration.timing import timing


def test_waiting_takes_wall_time_alone_and_work_takes_both():
    seconds = {}
    with timing(seconds, "waiting"):
        time.sleep(0.2)
    with timing(seconds, "working"):
        end = time.process_time() + 0.1
        while time.process_time() < end:
            pass
    assert list(seconds) == ["waiting", "working"]
    assert seconds["waiting"].wall >= 0.2
    assert seconds["waiting"].processor < 0.1
    assert seconds["working"].processor >= 0.1
    assert seconds["working"].wall >= 0.1
