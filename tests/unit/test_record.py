"""Which recordings are worth training on; and that no module of the shipped firmware could have made them."""

import argparse
import ast
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sourdine import app
from sourdine_board.mistake import Mistake
from sourdine_tools import board_mic, record, takes

FIRMWARE = sorted((Path(__file__).parents[2] / "firmware/sourdine").glob("*.py"))
RATE = 16_000


def said(before=0.6, word=0.7, after=0.6, loud=-20.0, room=-60.0):
    """A word of noise in a quieter room, int16; lengths in seconds, levels in dBFS."""
    rng = np.random.default_rng(0)
    levels = np.repeat([room, loud, room], [round(seconds * RATE) for seconds in (before, word, after)])
    noise = rng.standard_normal(len(levels)) * 10 ** (levels / 20)
    return np.clip(np.round(noise * 32768), -32768, 32767).astype(np.int16)


def test_a_good_take_is_trimmed_to_its_word():
    take = takes.listen(said())
    assert take.trouble == ""
    assert take.loudness == pytest.approx(-20, abs=1)
    assert take.seconds == pytest.approx(0.7 + 2 * takes.MARGIN_S, abs=0.03)
    whole = said()
    start = round((0.6 - takes.MARGIN_S) * RATE)
    found = [at for at in range(start - 400, start + 400) if (whole[at : at + 64] == take.samples[:64]).all()]
    assert len(found) == 1


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (np.zeros(0, np.int16), "silent"),
        (np.zeros(2 * RATE, np.int16), "silent"),
        (said(loud=-58, room=-60), "too quiet"),
        (said(loud=-70, room=-90), "too quiet"),
        (said(loud=3), "it clips"),
        (said(before=0), "cut off"),
        (said(after=0), "cut off"),
        (said(word=0.1), "too short"),
        (said(word=2.5), "too long"),
    ],
)
def test_what_is_wrong_with_a_take_is_said(samples, why):
    assert why in takes.listen(samples).trouble


def test_of_two_sounds_the_louder_is_the_word():
    word = said(loud=-20)
    cough = said(word=0.1, loud=-30)
    assert takes.listen(np.concatenate([cough, word])).seconds == pytest.approx(0.7 + 2 * takes.MARGIN_S, abs=0.03)


def test_a_pause_inside_the_phrase_does_not_end_it():
    two = np.concatenate([said(after=0.1), said(before=0.1)])
    assert takes.listen(two).seconds == pytest.approx(1.6 + 2 * takes.MARGIN_S, abs=0.03)


def typed(*words):
    parser = argparse.ArgumentParser()
    record.add_arguments(parser)
    return record.run(parser.parse_args([str(word) for word in words]))


def test_a_folder_gives_its_good_recordings_and_says_what_is_wrong_with_the_others(tmp_path, capsys):
    source = tmp_path / "mine"
    source.mkdir()
    soundfile.write(source / "a.wav", said(), RATE)
    soundfile.write(source / "b.flac", said(loud=-59), RATE)
    stereo = np.repeat(said(word=1.0), 3)[:, None].repeat(2, axis=1)  # 48 kHz
    soundfile.write(source / "c.wav", stereo, 48_000)
    (source / "d.wav").write_text("no sound")
    (source / "notes.txt").write_text("mine")
    assert typed("--from", source, "--out", tmp_path / "takes") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[:4]] == ["a.wav", "b.flac", "c.wav", "d.wav"]
    assert ["good" in line for line in lines[:4]] == [True, False, True, False]
    first, second = (soundfile.info(tmp_path / f"takes/take_00{number}.wav") for number in (1, 2))
    assert {first.samplerate, second.samplerate} == {RATE}
    assert second.duration == pytest.approx(1.0 + 2 * takes.MARGIN_S, abs=0.05)
    typed("--from", source, "--out", tmp_path / "takes", "--count", 1)
    assert len(list((tmp_path / "takes").iterdir())) == 3  # nothing is overwritten


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--from", "/nowhere", "--out", "x"), "cannot read /nowhere"),
        (("--from", ".", "--out", "x", "--count", "0"), "--count is 1 or more"),
        (("--microphone", "--out", "x", "--seconds", "60"), "--seconds 1 to 6"),
        (("--port", "/dev/none", "--out", "x"), "there is no port /dev/none"),
    ],
)
def test_every_mistake_says_what_to_do(words, why):
    with pytest.raises(Mistake, match=why):
        typed(*words)


def test_an_empty_folder_is_a_mistake(tmp_path):
    with pytest.raises(Mistake, match="no recording that can be used"):
        typed("--from", tmp_path, "--out", tmp_path / "takes")


def test_without_portaudio_the_other_ways_are_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(Mistake, match=r"'.\[microphone\]'.*--from DIR or --port TTY"):
        typed("--microphone", "--out", tmp_path)


def test_the_desktops_microphone_is_asked_again_until_enough_takes_are_good(monkeypatch, tmp_path, capsys):
    sounds = [said(loud=-59), said(), said(word=0.05), said()]

    class InputStream:
        """A stand-in for PortAudio: each opening plays the next sound."""

        def __init__(self, samplerate, channels, dtype, blocksize):
            assert (samplerate, channels, dtype) == (RATE, 1, "int16")
            self.rest = np.concatenate([np.zeros(3 * blocksize, np.int16), sounds.pop(0), np.zeros(RATE, np.int16)])

        def read(self, frames):
            part, self.rest = self.rest[:frames], self.rest[frames:]
            return part[:, None], False

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    portaudio = types.SimpleNamespace(InputStream=InputStream, PortAudioError=OSError)
    monkeypatch.setitem(sys.modules, "sounddevice", portaudio)
    assert typed("--microphone", "--out", tmp_path / "takes", "--count", 2, "--seconds", 1.9) == 0
    assert len(list((tmp_path / "takes").iterdir())) == 2
    assert capsys.readouterr().out.count("again, please") == 2

    sounds.extend([said(loud=-59)] * record.PATIENCE)
    with pytest.raises(Mistake, match="only 0 of 1 takes were good"):
        typed("--microphone", "--out", tmp_path / "takes", "--count", 1, "--seconds", 1.9)


# What the shipped firmware cannot do. tests/test_rooms.py has it that the gate alone calls the outlet's audio().


def names(tree):
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
    }


def calls(tree, name):
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and (getattr(node.func, "id", None) or getattr(node.func, "attr", None)) == name
    ]


@pytest.mark.parametrize("path", FIRMWARE, ids=lambda path: path.stem)
def test_no_firmware_module_writes_to_the_serial_line_or_a_file_but_words(path):
    tree = ast.parse(path.read_text())
    assert not names(tree) & {"stdout", "UART", "dupterm", "SoftUART", "USBDevice", "Stream"}
    for call in calls(tree, "open"):
        mode = call.args[1] if len(call.args) > 1 else next((key.value for key in call.keywords), None)
        assert mode is None or (isinstance(mode, ast.Constant) and not set(mode.value) & set("wa+x"))
    for call in calls(tree, "print"):
        told = {name for argument in call.args for name in names(argument)}
        assert not told & {"samples", "_samples", "block", "blocks", "words", "_words", "features", "feed", "read"}


def test_samples_go_from_the_microphone_to_those_who_compute_and_to_the_gate_alone():
    tree = ast.parse(Path(app.__file__).read_text())
    assert [ast.unparse(call) for call in calls(tree, "read")] == ["self._mic.read()"]
    takers = {
        ast.unparse(call.func)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and "samples" in map(ast.unparse, call.args)
    }
    assert takers == {"self._listen", "self._frontend.feed", "energy", "gate.offer"}
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "samples"]
    assert len(uses) == 1 + len(takers)  # its one assignment, and the arguments of those calls


def test_the_script_for_the_board_beats_the_relay_as_the_firmware_does():
    assert board_mic.EDGES_HZ == app.EDGES_HZ
