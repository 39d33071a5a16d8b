"""Sayings become clips, each once; what does not come out is named and left out."""

import importlib
import logging
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import soundfile

import speech
from sourdine_board.mistake import Mistake
from sourdine_training.executor import Executor
from sourdine_training.store import Store
from sourdine_training.voices import Saying, Voice, program, speak
from sourdine_training.voices.engine import Sound, Unmade, Unspoken
from sourdine_training.voices.reading import phonemes
from sourdine_training.words.line import Line

RATE = 24_000
BEEPER = Voice("kokoro", "af_heart", "en-us", "f")


class Beeps:
    """An engine that beeps a tenth of a second for each letter, after 0.2 s and before 0.3 s of silence."""

    batch = 3

    def __init__(self) -> None:
        self.said: list[str] = []

    def version(self, voice: Voice) -> str:
        if voice.engine == "festival":
            raise Mistake("it is not installed: apt install festival")
        return "1"

    def reads(self, saying: Saying) -> str:
        return saying.line.text

    def say(self, sayings: list[Saying], store: Store) -> list[Sound]:
        return [self._say(saying.line.text) for saying in sayings]

    def _say(self, text: str) -> Sound:
        self.said.append(text)
        if text == "refused":
            raise Unspoken("it does not say that")
        if text == "broken":
            return np.full(RATE, np.nan, np.float32), RATE
        if text == "silent":
            return np.zeros(RATE, np.float32), RATE
        beep = 0.5 * np.sin(2 * np.pi * 300 * np.arange(len(text) * RATE // 10) / RATE)
        return np.pad(beep.astype(np.float32), (RATE // 5, 3 * RATE // 10)), RATE


class Killed(Executor):
    """Does two tasks, then is gone."""

    def map(self, function, items, chunk=1) -> Iterator:
        done = super().map(function, items, chunk)
        yield next(done)
        yield next(done)
        raise KeyboardInterrupt


@pytest.fixture
def beeps(monkeypatch) -> Beeps:
    engine = Beeps()
    for module in ("engine", "speak"):
        monkeypatch.setattr(
            importlib.import_module(f"sourdine_training.voices.{module}"), "engine", lambda name: engine
        )
    return engine


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path)


def saying(text: str, kind: str = "positive", **how) -> Saying:
    return Saying(Line(text, kind, "en"), BEEPER, **how)


def files(store: Store) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.root.rglob("*.*") if path.is_file()}


def test_a_clip_is_cut_and_says_where_its_last_sound_ends(beeps, store):
    (clip,) = speak([saying("beeps")], store, Executor())
    samples, rate = soundfile.read(clip.path, dtype="int16")
    loud = np.flatnonzero(np.abs(samples) > 1000)
    assert (rate, soundfile.info(clip.path).subtype, samples.ndim) == (16_000, "PCM_16", 1)
    assert clip.seconds == len(samples) / rate == pytest.approx(0.6, abs=0.004)
    assert clip.end_s == pytest.approx(loud[-1] / rate, abs=0.004)
    assert loud[0] / rate == pytest.approx(0.05, abs=0.004)
    assert (clip.kind, clip.split, clip.text, clip.voice) == ("positive", "train", "beeps", BEEPER)


def test_loudness_is_left_as_the_voice_made_it(beeps, store):
    (clip,) = speak([saying("beeps")], store, Executor())
    assert np.abs(soundfile.read(clip.path)[0]).max() == pytest.approx(0.5, abs=0.01)


def test_what_was_said_once_is_not_said_again(beeps, store):
    first = speak([saying("one"), saying("two"), saying("one")], store, Executor())
    assert [clip.text for clip in first] == ["one", "two"]
    assert sorted(beeps.said) == ["one", "two"]
    assert speak([saying("two"), saying("one")], store, Executor()) == first[::-1]
    assert len(beeps.said) == 2


def test_warps_are_made_of_one_sound(beeps, store):
    wanted = [saying("beeps"), saying("beeps", pitch=2.0), saying("beeps", formants=1.1), saying("beeps", tempo=1.2)]
    clips = speak(wanted, store, Executor())
    assert beeps.said == ["beeps"]
    assert len({clip.path.read_bytes() for clip in clips}) == 4
    assert clips[3].seconds < clips[0].seconds - 0.05


def test_a_warp_is_the_same_clip_whether_its_plain_one_was_there_before_or_not(beeps, store, tmp_path):
    speak([saying("beeps")], store, Executor())
    (later,) = speak([saying("beeps", pitch=2.0)], store, Executor())
    (alone,) = speak([saying("beeps", pitch=2.0)], Store(tmp_path / "other"), Executor())
    assert later.path.read_bytes() == alone.path.read_bytes()


def test_a_clip_that_fails_is_named_and_left_out_with_its_warps(beeps, store, caplog):
    wrong = ["silent", "broken", "refused", "x" * 60]
    wanted = [saying(text) for text in ["good", *wrong, "fine"]] + [saying("silent", pitch=1.0)]
    for _ in range(2):
        caplog.clear()
        assert [clip.text for clip in speak(wanted, store, Executor())] == ["good", "fine"]
        said = caplog.text
        assert all(f"“{text}”" in said for text in wrong)
        assert "is silent" in said and "does not say that" in said and "lasts 6.1 s" in said
    assert sum(text in wrong for text in beeps.said) <= 2 * len(wrong)  # not tried again by the second run


def test_what_was_stopped_is_tried_again_at_once_and_by_the_next_run(beeps, store, caplog, monkeypatch):
    stops, say = ["once", "late", "late"], beeps._say

    def stopped(text):
        if text in stops:
            stops.remove(text)
            raise Unmade("it was killed")
        return say(text)

    monkeypatch.setattr(beeps, "_say", stopped)
    wanted = [saying("late"), saying("late", pitch=1.0)]
    assert [clip.text for clip in speak([saying("once")], store, Executor())] == ["once"]
    assert speak(wanted, store, Executor()) == []
    assert "“late”" in caplog.text and "run this again" in caplog.text
    assert len(speak(wanted, store, Executor())) == 2


def test_a_program_that_fails_has_refused_and_one_that_is_killed_was_stopped():
    with pytest.raises(Unspoken, match="no such voice"):
        program.spoken(["sh", "-c", "echo no such voice >&2; exit 1"])
    with pytest.raises(Unspoken, match="wrote nothing"):
        program.spoken(["sh", "-c", "exit 0"])
    with pytest.raises(Unmade, match="signal 9"):
        program.spoken(["sh", "-c", "kill -9 $$"])


def test_a_program_that_takes_too_long_was_stopped(monkeypatch):
    monkeypatch.setattr(program, "PATIENCE_S", 0.05)
    with pytest.raises(Unmade):
        program.spoken(["sh", "-c", "exec sleep 20"])


def test_one_worker_and_two_give_the_same_clips(tmp_path):
    line = Line("hey sourdine", "positive", "en", "hˈA sʊɹdˈin")
    heart = Voice("hibari", "heart", "en-us", "f")
    wanted = [
        Saying(line, heart, speed, **how) for speed in (0.9, 1.1) for how in ({}, {"pitch": 2.0, "intonation": 1.5})
    ]
    with Executor.processes(2) as two:
        speak(wanted, Store(tmp_path / "two"), two)
    speak(wanted, Store(tmp_path / "one"), Executor())
    assert files(Store(tmp_path / "one")) == files(Store(tmp_path / "two"))


def test_a_sentence_may_last_longer_than_a_word(beeps, store):
    assert len(speak([saying("x" * 60, kind="speech")], store, Executor())) == 1


def test_an_engine_that_is_missing_is_said_once(beeps, store, caplog):
    missing = [replace(saying(text), voice=Voice("festival", "kal_diphone", "en-us", "m")) for text in ("one", "two")]
    with caplog.at_level(logging.WARNING):
        clips = speak([missing[0], saying("three"), missing[1]], store, Executor())
    assert [clip.text for clip in clips] == ["three"]
    assert caplog.text.count("apt install festival") == 1


def test_killed_on_the_way_it_goes_on_where_it_was_and_ends_with_the_same_bytes(beeps, store, tmp_path):
    wanted = [saying("x" * length, **how) for length in range(2, 11) for how in ({}, {"pitch": 1.0})]
    with pytest.raises(KeyboardInterrupt):
        speak(wanted, store, Killed())
    before = len(beeps.said)
    assert 0 < before < 9
    clips = speak(wanted, store, Executor())
    assert len(beeps.said) == 9
    whole = Store(tmp_path / "whole")
    speak(wanted, whole, Executor())
    assert len(clips) == 18
    assert {name: data for name, data in files(store).items() if name in files(whole)} == files(whole)


def test_progress_ends_at_all_of_it(beeps, store):
    told = []
    speak([saying("one"), saying("two"), saying("two", pitch=1.0)], store, Executor(), lambda *at: told.append(at))
    assert told[0][:2] == (0, 3)
    assert told[-1][:2] == (3, 3)
    speak([saying("one"), saying("three")], store, Executor(), lambda *at: told.append(at))
    assert told[-2][:2] == (1, 2)


def test_hibari_says_a_line_the_same_alone_and_among_others(tmp_path):
    lines = [Line("hey sourdine", "positive", "en", "hˈA sʊɹdˈin"), Line("It rains.", "speech", "en")]
    wanted = [Saying(line, Voice("hibari", "heart", "en-us", "f"), 1.1, seed=3) for line in lines]
    together = speak(wanted, Store(tmp_path / "together"), Executor())
    alone = [clip for each in wanted[::-1] for clip in speak([each], Store(tmp_path / "alone"), Executor())][::-1]
    assert [clip.path.read_bytes() for clip in together] == [clip.path.read_bytes() for clip in alone]
    assert all(0.4 < clip.seconds < 2.0 for clip in together)


@pytest.mark.parametrize(
    ("name", "voice"),
    [
        pytest.param("flite", "slt", marks=speech.needs("flite")),
        pytest.param("espeak", "en-gb+f2", marks=speech.needs("espeak-ng")),
        pytest.param("festival", "kal_diphone", marks=speech.needs("festival")),
    ],
)
def test_a_program_speaks_faster_when_asked_to(store, name, voice):
    speaker = importlib.import_module(f"sourdine_training.voices.{name}").Speaker()
    line = Line("it's \"seven\" o'clock; really (now)", "speech", "en")
    usual = Saying(line, Voice(name, voice, "en-us", ""))
    (slow, rate), (fast, _) = speaker.say([usual, replace(usual, speed=1.3)], store)
    assert 1.0 < len(slow) / rate < 5.0
    assert len(fast) < 0.9 * len(slow)
    assert 0.01 < np.abs(slow).max() <= 1.0


@speech.needs("espeak-ng")
def test_a_french_line_is_read_clause_by_clause():
    said = phonemes(Line("oui, c'est bon !", "speech", "fr"), british=False)
    assert said.count(", ") == 1
    assert said.endswith("!")
    assert "ɔ̃" in said
