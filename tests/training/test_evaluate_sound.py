"""Clips as detectors hear them: where words end, what is around them, and how loud the noise is."""

import numpy as np
import pytest
import soundfile

import way
from sourdine_training.evaluate import corpus, reels, sound

RATE = sound.RATE


def noise(seconds, level, seed=0):
    return np.random.default_rng(seed).normal(0, level, int(seconds * RATE)).astype(np.float32)


def burst(seconds, level=6000):
    """Something that begins and ends sharply."""
    return (level * np.sin(np.arange(int(seconds * RATE)) * 0.6)).astype(np.float32)


@pytest.mark.parametrize("level", [2, 20, 100])
def test_a_words_end_is_found_in_noise(level):
    clip = noise(3, level)
    clip[8000 : 8000 + int(0.6 * RATE)] += burst(0.6)
    found = sound.span(clip)
    assert found.sure
    assert found.begin == pytest.approx(0.5, abs=0.03)
    assert found.end == pytest.approx(1.1, abs=0.03)


def test_a_pause_within_a_phrase_does_not_end_it_and_a_click_after_it_is_none():
    clip = noise(4, 5)
    for at, seconds in ((0.5, 0.3), (0.95, 0.4), (2.9, 0.02)):
        clip[int(at * RATE) : int((at + seconds) * RATE)] += burst(seconds)
    assert sound.span(clip).end == pytest.approx(1.35, abs=0.03)


def test_nobody_is_sure_of_an_end_that_noise_hides():
    clip = noise(3, 2000)
    clip[8000 : 8000 + int(0.6 * RATE)] += burst(0.6, 4000)
    assert not sound.span(clip).sure


@pytest.mark.parametrize("word", ["alexa", "jarvis"])
def test_the_end_of_spoken_words_is_known_to_tens_of_milliseconds(word):
    said = way.say(f"{word}.", "heart").astype(np.float32)
    clip = noise(3, 8)
    clip[12_000 : 12_000 + len(said)] += said
    ends = 12_000 + len(said) - RATE // 50  # the voice leaves so much after its last sound
    assert sound.span(clip).end == pytest.approx(ends / RATE, abs=0.05)


def test_what_is_around_a_clip_sounds_like_its_silence():
    clip = np.concatenate([noise(1, 30), burst(0.5), noise(1, 30, 1)])
    around = sound.floor(clip, 3 * RATE, np.random.default_rng(0))
    assert np.sqrt(np.square(around).mean()) == pytest.approx(30, rel=0.2)


def test_there_is_never_digital_silence():
    clip = np.concatenate([np.zeros(RATE, np.float32), burst(0.5), np.zeros(RATE, np.float32)])
    around = sound.int16(sound.floor(clip, 3 * RATE, np.random.default_rng(0)))
    assert np.abs(around.reshape(-1, 160)).max(axis=1).min() > 0


@pytest.fixture
def folder(tmp_path):
    """One word and five talkers."""
    (tmp_path / "positive/alexa").mkdir(parents=True)
    (tmp_path / "negative/speech").mkdir(parents=True)
    clip = np.concatenate([noise(0.5, 3), burst(0.6), noise(0.5, 3, 1)])
    soundfile.write(tmp_path / "positive/alexa/anna_1.wav", sound.int16(clip), RATE)
    for i, who in enumerate("abcde"):
        soundfile.write(tmp_path / f"negative/speech/{who}.wav", sound.int16(noise(4, 900, 10 + i)), RATE)
    return tmp_path


def reel_of(folder, condition):
    found = corpus.read(folder)
    clips, talkers = corpus.for_word(found, "alexa")
    [reel] = reels.positives(clips, condition, talkers, [])
    return reel


@pytest.mark.parametrize("condition", ["10 dB", "5 dB"])
def test_noise_is_so_much_below_the_word(folder, condition):
    [(clean, [mark])], [(noisy, _)] = reels.play(reel_of(folder, "clean")), reels.play(reel_of(folder, condition))
    word = slice(int(mark.word_end * RATE) - RATE // 2, int(mark.word_end * RATE))
    power = np.square(clean[word].astype(float)).mean()
    added = np.square(noisy[: 2 * RATE].astype(float)).mean()  # the lead holds nothing else worth mentioning
    assert 10 * np.log10(power / added) == pytest.approx(float(condition.split()[0]), abs=1)


def test_a_reel_is_the_same_sound_every_time_and_its_key_says_which(folder):
    first, again = (reel_of(folder, "5 dB") for _ in range(2))
    assert first.key == again.key
    assert all((a == b).all() for (a, _), (b, _) in zip(reels.play(first), reels.play(again), strict=True))
    clip = next((folder / "positive/alexa").iterdir())
    soundfile.write(clip, sound.int16(burst(1.5)), RATE)
    assert reel_of(folder, "5 dB").key != first.key


def test_a_streams_marks_are_where_its_recordings_are(folder):
    reels_of = list(reels.negatives(each for each in corpus.read(folder) if each.kind == "speech"))
    for reel in reels_of:
        for (samples, marks), piece in zip(reels.play(reel), reel.pieces, strict=True):
            assert [mark.path for mark in marks] == list(piece.paths)
            for mark in marks:
                part = samples[round(mark.begin * RATE) : round(mark.end * RATE)]
                assert (part == soundfile.read(mark.path, dtype="int16")[0]).all()


def test_a_speaker_is_in_one_part(tmp_path):
    (tmp_path / "manifest.csv").write_text(
        "path,category,speaker\n" + "".join(f"{i}.wav,positive:alexa,ann\n" for i in range(20))
    )
    for i in range(20):
        (tmp_path / f"{i}.wav").touch()
    assert len({each.part for each in corpus.read(tmp_path)}) == 1


def test_other_words_are_negatives(folder):
    (folder / "positive/jarvis").mkdir()
    soundfile.write(folder / "positive/jarvis/bob.wav", sound.int16(burst(1)), RATE)
    positives, negatives = corpus.for_word(corpus.read(folder), "alexa")
    assert [each.path.name for each in positives] == ["anna_1.wav"]
    assert [each.path.name for each in negatives if each.kind == "other words"] == ["bob.wav"]
