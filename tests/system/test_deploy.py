"""The commands that put things on a board, as a person types them, against the twin: its tty, its resets, its watchdog."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from sourdine_board.twin import Board
from sourdine_tools import board_files, cli
from sourdine_tools.board_link import BoardFull, connect
from sourdine_tools.flash import flash
from sourdine_tools.pair import PASSWORD
from sourdine_tools.release import compiled
from sourdine_tools.server import Server, enrol, serving
from sourdine_tools.verify import verify

MPREMOTE = Path(sys.executable).with_name("mpremote")


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    with Board(tmp_path_factory.mktemp("board")) as twin:
        yield twin


def typed(capsys, *words):
    """(exit status, stdout, stderr) of `sourdine WORDS`."""
    status = cli.main([str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def mpremote(board, *words):
    return subprocess.run([MPREMOTE, "connect", board.tty, *words], capture_output=True, text=True, check=True).stdout


def test_flash_pair_and_verify_as_typed(board, tmp_path, capsys, monkeypatch):
    status, out, _ = typed(capsys, "flash", "--port", board.tty)
    assert status == 0
    assert "kept 0, removed 0" in out
    assert "not paired; run sourdine pair" in out

    status, out, _ = typed(capsys, "flash", "--port", board.tty)
    assert status == 0
    assert out.startswith("copied 0, ")

    monkeypatch.setenv(PASSWORD, "correct horse")
    with serving(Server(tmp_path / "server", host="127.0.0.1", port=0)) as server:
        code = enrol.mint(server.authority, "kitchen")
        where = f"127.0.0.1:{server.port}"
        capsys.readouterr()
        status, out, _ = typed(
            capsys, "pair", "--port", board.tty, "--ssid", "house", "--code", code, "--server", where
        )
    assert status == 0
    assert "paired as kitchen, wakes on alexa" in out
    assert "ready, listening for alexa" in out

    status, out, _ = typed(capsys, "verify", "--port", board.tty)
    assert status == 0
    assert "exempt    /certs/key.der (the household's own, not checked)" in out
    assert "every file is as released" in out
    assert "not a firmware that lies" in out

    status, out, _ = typed(capsys, "verify", "--image", board.state / "flash.img", "--arch", "x64")
    assert status == 0
    assert "every file is as released" in out


def test_mpremote_itself_works_on_a_flashed_board(board, tmp_path):
    flash(board.tty)
    assert "main.py" in mpremote(board, "fs", "ls", ":")
    (tmp_path / "gate.py").write_text("open = True\n")
    (tmp_path / "gate.mpy").write_bytes(compiled(tmp_path / "gate.py", "gate.py", "x64"))
    mpremote(board, "fs", "cp", str(tmp_path / "gate.mpy"), ":/sourdine/gate.mpy")
    mpremote(board, "reset")
    assert verify(board.tty).altered == ["/sourdine/gate.mpy"]


def test_an_altered_file_is_named_and_flashed_again(board, tmp_path, capsys):
    (tmp_path / "spec.py").write_text("SAMPLE_RATE = 8_000\n")
    flash(board.tty)
    mpremote(board, "fs", "cp", str(tmp_path / "spec.py"), ":/sourdine/unknown.py")
    mpremote(board, "fs", "cp", str(tmp_path / "spec.py"), ":/models/alexa.json")
    status, out, _ = typed(capsys, "verify", "--port", board.tty)
    assert status == 1
    assert "altered   /models/alexa.json" in out
    assert "stranger  /sourdine/unknown.py" in out
    status, out, _ = typed(capsys, "flash", "--port", board.tty)
    assert status == 0
    assert out.startswith("copied 1, ")
    assert "not ours, left alone: /sourdine/unknown.py" in out


def test_a_stranger_that_runs_in_place_of_the_firmware_is_named_when_the_program_stops(board, tmp_path, capsys):
    flash(board.tty)
    (tmp_path / "gate.py").write_text("open = True\n")
    mpremote(board, "fs", "cp", str(tmp_path / "gate.py"), ":/sourdine/gate.py")
    status, _, err = typed(capsys, "flash", "--port", board.tty)
    assert status == 2
    assert len(err.splitlines()) == 1
    remedy = err.partition(f"`mpremote connect {board.tty} ")[2].partition("`")[0].split()
    assert ":/sourdine/gate.py" in remedy
    mpremote(board, *remedy)
    assert typed(capsys, "flash", "--port", board.tty)[0] == 0


@pytest.mark.parametrize("after_bytes", [3, 40_000])
def test_a_cable_pulled_half_way_says_so_and_the_next_flash_mends_it(tmp_path, capsys, after_bytes):
    with Board(tmp_path / "board") as board:
        board.unplug(after_bytes)
        status, _, err = typed(capsys, "flash", "--port", board.tty)
        assert status == 2
        assert len(err.splitlines()) == 1
        assert "check the cable" in err
        board.plug()
        status, out, _ = typed(capsys, "flash", "--port", board.tty)
        assert status == 0
        assert "not paired; run sourdine pair" in out
        assert verify(board.tty).clean


@pytest.mark.parametrize(("profile", "offset"), [("s3", "0x0"), ("esp32", "0x1000")])
def test_a_chip_without_micropython_gets_its_esptool_lines(tmp_path, capsys, profile, offset):
    with Board(tmp_path / "board", profile, bare=True) as board:
        status, _, err = typed(capsys, "flash", "--port", board.tty)
        assert status == 2
        assert "is a chip without MicroPython: install it once" in err
        assert f"--chip {'esp32s3' if profile == 's3' else 'esp32'} --port {board.tty}" in err
        assert f"write_flash {offset} FIRMWARE.bin" in err


def test_a_refusal_restarts_the_program(board):
    known = len(board.trace)
    with pytest.raises(BoardFull), connect(board.tty):
        raise BoardFull("no room")
    board.wait("reset", after=known, cause="HARD")


def test_another_model_than_the_paired_one_is_pointed_out(board, capsys):
    with connect(board.tty) as link:
        board_files.write(link, "/settings.json", b'{"wake": "alexa"}')
    status, out, _ = typed(capsys, "flash", "--port", board.tty, "--model", "okay_nabu")
    assert status == 0
    assert "its settings wake on alexa: flash --model alexa, or pair --wake okay_nabu" in out


def test_the_watchdog_that_the_program_started_does_not_bite_while_a_link_is_open(board):
    mpremote(board, "exec", "import machine; machine.WDT(timeout=700)")
    with connect(board.tty) as link:
        time.sleep(1.5)
        assert link.run("print('still here')").strip() == "still here"
        link.run("import os\nos.remove('/main.py')")
        assert link.reset() == ""


def test_an_unknown_model_lists_those_there_are(board, capsys):
    status, _, err = typed(capsys, "flash", "--port", board.tty, "--model", "computer")
    assert status == 2
    assert "no wake word model is called 'computer'; there are: alexa, " in err
