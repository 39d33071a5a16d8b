"""`sourdine record` from the board: what comes back is the room, while the LED burned, and nothing stays behind."""

import argparse
import hashlib
import json
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from household import Household
from rig import event
from sourdine_board.mistake import Mistake
from sourdine_board.twin import Board
from sourdine_board.twin.marks import locate
from sourdine_tools import board_files, record
from sourdine_tools.board_link import connect
from sourdine_tools.flash import flash
from sourdine_tools.verify import verify

ROOM_S = 120  # the board listens through it as fast as it can; it is interrupted long before
COUNT = 2


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A paired board, its server away, in a room that marks its samples."""
    folder = tmp_path_factory.mktemp("record")
    identity = Household(folder / "house").enrol()
    settings = {
        "device": "kitchen",
        "wifi": {"ssid": "house", "password": ""},
        "server": {"host": "127.0.0.1", "port": 9, "name": "server"},
        "wake": "alexa",
    }
    with Board(folder / "board") as board:
        flash(board.tty)
        with connect(board.tty) as link:
            board_files.write(link, "/settings.json", json.dumps(settings).encode())
            for name in ("ca", "device", "key"):
                board_files.write(link, f"/certs/{name}.der", (identity.folder / f"{name}.der").read_bytes())
        sound = folder / "voice.wav"
        rng = np.random.default_rng(1)
        bursts = np.tile(np.repeat([0.0, 0.1, 0.0], [8000, 12000, 8000]), 60)
        soundfile.write(sound, bursts * rng.standard_normal(len(bursts)), 16_000)
        (folder / "room.toml").write_text(
            f'seconds = {ROOM_S}\nmarks = true\nnoise_dbfs = -66.0\n[[sound]]\nat = 0.0\nfile = "voice.wav"\n'
        )
        board.play(folder / "room.toml")
        yield board


def typed(*words):
    parser = argparse.ArgumentParser()
    record.add_arguments(parser)
    return record.run(parser.parse_args([str(word) for word in words]))


def lit(trace):
    """When the amber LED on the microphone's supply burned: (from, to) in room samples."""
    changes = [event for event in trace if event["kind"] == "contact"]
    assert [change["closed"] for change in changes[:2]] == [True, False]
    return [(one["index"], other["index"]) for one, other in pairwise(changes) if one["closed"]]


def test_takes_are_the_rooms_sound_while_the_led_burned_and_the_board_is_left_as_it_was(board, tmp_path, capsys):
    flash_before = board_hash(board)
    out = tmp_path / "takes"
    assert typed("--port", board.tty, "--out", out, "--count", COUNT, "--seconds", 2) == 0
    said = capsys.readouterr().out
    assert f"take {COUNT} of {COUNT}: say it now" in said
    assert f"{COUNT} takes in {out}: " in said

    files = sorted(out.iterdir())
    assert [file.name for file in files] == ["take_001.wav", "take_002.wav"]
    burned = lit(board.trace)
    for file in files:
        samples, rate = soundfile.read(file, dtype="int16")
        assert rate == 16_000
        where = locate(samples, ROOM_S * 16_000)
        assert (np.diff(where) == 1).all(), "a piece is missing, or is not the room's"
        assert any(start <= where[0] and where[-1] < end for start, end in burned)
        assert 1.0 < len(samples) / rate < 1.2  # the word, 0.75 s, and a little before and after

    restarted = board.wait("boot", cause="HARD")
    board.wait("contact", after=board.trace.index(restarted), closed=True)  # the shipped program proves its relay again
    assert board_hash(board) == flash_before
    assert verify(board.tty).clean


def test_a_pressed_mute_is_said_and_no_take_is_made(board, tmp_path):
    (tmp_path / "room.toml").write_text(f"seconds = {ROOM_S}\n" + event(0.01, "press"))
    board.play(tmp_path / "room.toml")
    with pytest.raises(Mistake, match="does not hear: the mute button is in"):
        typed("--port", board.tty, "--out", tmp_path / "takes", "--count", 1)
    assert not (tmp_path / "takes").exists()
    board.wait("boot", cause="HARD")


def test_a_board_without_the_firmware_is_told_to_flash(tmp_path):
    with Board(tmp_path / "empty") as empty, pytest.raises(Mistake, match="holds no firmware: sourdine flash --port"):
        typed("--port", empty.tty, "--out", tmp_path / "takes")


def board_hash(board):
    return hashlib.sha256(board.flash_image.read_bytes()).hexdigest()
