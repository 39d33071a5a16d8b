"""`sourdine bench chip --port` on the twin: a board times its own kernels, and is left as it was found."""

import hashlib
import json

import pytest
from mpremote.transport_serial import SerialTransport

from sourdine_board.mistake import Mistake
from sourdine_board.twin import Board
from sourdine_tools.board_link import Link
from sourdine_tools.chip import silicon, toolchain, workload
from sourdine_tools.cli import main
from sourdine_tools.flash import flash

pytestmark = pytest.mark.skipif(bool(toolchain.missing()), reason="what runs the chip's code is not installed")
LONG = "for _ in range(3_000_000):\n    pass\n"  # about a second
KERNELS = {"dsp.unpack", "fft.spectrum", "mel.quantize", "int8.take"}


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    with Board(tmp_path_factory.mktemp("silicon"), clock="wall") as board:
        with pytest.raises(Mistake, match=r"does not hold this firmware: sourdine flash --port .*tty --model alexa"):
            silicon.time(board.tty, "alexa")
        restarted(board, 0)
        flash(board.tty)
        yield board


def flash_of(board):
    return hashlib.sha256(board.flash_image.read_bytes()).hexdigest()


def restarted(board, after):
    """There was a reset after event `after`, and what runs then has come to the prompt: the board is not paired."""
    boot = board.wait("boot", after=after, cause="HARD")
    return board.wait("repl", after=board.trace.index(boot))


def test_a_board_times_every_kernel_and_starts_its_program_again(board, capsys):
    before, seen = flash_of(board), len(board.trace)
    assert main(["bench", "chip", "--port", board.tty, "--json"]) == 0
    timing = json.loads(capsys.readouterr().out)
    assert restarted(board, seen)
    assert flash_of(board) == before
    assert timing["board"] is None
    assert timing["machine"].startswith("Sourdine's twin of ESP32-S3")
    assert (timing["arch"], timing["hertz"]) == ("x64", 240_000_000)
    rows = {row["kernel"]: row for row in timing["kernels"]}
    assert set(rows) >= KERNELS
    assert rows["dsp.unpack"]["calls"] == silicon.FRAMES
    assert all(row["modelled_us"] > 0 for row in rows.values())
    assert timing["all"]["median_us"] > 0
    said = silicon.text(timing)
    assert "This is no ESP32" in said
    assert "To calibrate" not in said


def test_a_board_that_is_interrupted_starts_its_program_again(board, monkeypatch):
    execute = SerialTransport.exec_raw

    def interrupted(transport, command, timeout=10, data_consumer=None):
        if LONG not in command:
            return execute(transport, command, timeout, data_consumer)
        transport.exec_raw_no_follow(command)
        raise KeyboardInterrupt

    before, seen = flash_of(board), len(board.trace)
    monkeypatch.setattr(silicon, "_BLOCK", LONG)
    monkeypatch.setattr(SerialTransport, "exec_raw", interrupted)
    assert main(["bench", "chip", "--port", board.tty]) == 130
    assert restarted(board, seen)
    assert flash_of(board) == before


def test_another_model_than_the_boards_is_refused(board):
    seen = len(board.trace)
    with pytest.raises(Mistake, match="does not hold this model: sourdine flash --port .* --model okay_nabu"):
        silicon.time(board.tty, "okay_nabu")
    assert restarted(board, seen)


def calls_of(*kernels):
    return [workload.Call(0, "", kernel, 1000, 2400.0, 4800.0) for kernel in kernels]


@pytest.mark.parametrize(
    ("machine", "board"), [("Generic ESP32S3 module with ESP32S3", "s3"), ("ESP32 module", "esp32")]
)
def test_a_chip_is_given_the_line_that_calibrates_its_model(machine, board):
    link = Link(None, "/dev/ttyUSB0", "xtensawin", machine)
    times = {"fft.stage": [2, 21, 24], "mel.root": [1, 10, 11]}
    timing = silicon.verdict(link, 240_000_000, calls_of("fft.stage", "fft.stage", "mel.root"), times)
    modelled = {"s3": 30.0, "esp32": 60.0}[board]
    assert timing["all"] == {"kernel": "all", "calls": 3, "modelled_us": modelled, "fastest_us": 31, "median_us": 35,
                             "ratio": round(35 / modelled, 3)}  # fmt: skip
    assert silicon.text(timing).endswith(f'    "{board}": {35 / modelled:.2f},')


def test_a_board_that_called_something_else_is_not_believed():
    link = Link(None, "/dev/ttyUSB0", "xtensawin", "ESP32")
    with pytest.raises(Mistake, match=r"called fft\.stage 1 times, not 2"):
        silicon.verdict(link, 240_000_000, calls_of("fft.stage", "fft.stage"), {"fft.stage": [1, 2, 3]})
