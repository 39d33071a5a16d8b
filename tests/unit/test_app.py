"""The program around the loop: whatever ends it, the microphone is cut first."""

import sys
from types import SimpleNamespace

import pytest

from sourdine import app
from sourdine.app import App
from sourdine.ledger import LedgerDamaged
from sourdine.tflite import ModelError


class Recorder:
    """Stands for any part; remembers what was called, and fails where it is told to."""

    def __init__(self, log, name, fails=()):
        self._log, self._name, self._fails = log, name, fails

    def __getattr__(self, what):
        def call(*_):
            self._log.append(f"{self._name}.{what}")
            if what in self._fails:
                raise OSError("no more flash")

        return call


@pytest.fixture
def board(monkeypatch):
    log = []
    monkeypatch.setitem(sys.modules, "sourdine.hardware", SimpleNamespace(Hardware=lambda: Recorder(log, "hardware")))
    monkeypatch.setattr(app.settings, "load", lambda: SimpleNamespace(wake="alexa"))
    return log


@pytest.mark.parametrize(
    "why",
    [
        LedgerDamaged("no ledger"),
        ModelError("no model"),
        OSError("no radio"),
        MemoryError("full"),
        ValueError("bad cert"),
    ],
)
def test_what_keeps_it_from_starting_is_said_in_one_line_and_nothing_runs_on(board, monkeypatch, capsys, why):
    def fail(*_):
        raise why

    monkeypatch.setattr(app, "App", fail)
    app.main()
    assert capsys.readouterr().out.strip().endswith(str(why))
    assert board[-1] == "hardware.stop"


@pytest.mark.parametrize("why", [KeyboardInterrupt, MemoryError, OSError, ZeroDivisionError])
def test_whatever_breaks_the_loop_ends_in_a_cut_microphone(board, monkeypatch, why):
    def turn():
        raise why

    monkeypatch.setattr(app, "App", lambda *_: SimpleNamespace(turn=turn, stop=lambda: board.append("app.stop")))
    with pytest.raises(why):
        app.main()
    assert board[-1] == "app.stop"


def test_the_microphone_is_cut_before_anything_that_may_fail():
    log = []
    speaker = App.__new__(App)
    speaker._mute, speaker._hardware = Recorder(log, "mute"), Recorder(log, "hardware")
    speaker._gate, speaker._wifi = Recorder(log, "gate", fails=["tell"]), Recorder(log, "wifi")
    with pytest.raises(OSError, match="no more flash"):
        speaker.stop()
    assert log[:3] == ["mute.off", "hardware.stop", "gate.tell"]
