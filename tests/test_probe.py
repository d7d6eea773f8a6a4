from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from mertools.runtime import probe


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def fail() -> None:
    raise ValueError


def compute_for(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_a_crash_ends_the_child_alone(capfd: pytest.CaptureFixture[str]) -> None:
    assert not probe.survives(crash)
    assert probe.survives(fail)
    assert probe.survives(lambda: os.write(2, b"x"))
    assert capfd.readouterr() == ("", "")


def test_what_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ALLOWANCE_S", 0.2)
    assert not probe.survives(lambda: compute_for(60))

    def go_on() -> None:
        for _ in range(6):
            compute_for(0.1)
            probe.renew_allowance()

    assert probe.survives(go_on)
    probe.renew_allowance()  # of no child
    compute_for(0.4)


def test_other_threads_do_not_matter() -> None:
    waiting = threading.Event()
    thread = threading.Thread(target=waiting.wait)
    thread.start()
    try:
        assert probe.survives(fail)  # and Python 3.12 warns of nothing
    finally:
        waiting.set()
        thread.join()
