"""Rooms: what their TOML says, what they sound like, and what is wrong with them in one line."""

import numpy as np
import pytest
import soundfile

from sourdine import spec
from sourdine_board.mistake import Mistake
from sourdine_board.twin import marks
from sourdine_board.twin.room import EVENTS, load, render, stage

RATE = spec.SAMPLE_RATE


@pytest.fixture
def room(tmp_path):
    """Writes a room and loads it."""

    def write(text: str):
        (tmp_path / "room.toml").write_text(text)
        return load(tmp_path / "room.toml")

    return write


@pytest.fixture
def tone(tmp_path):
    """One second of 440 Hz at half of full scale, stereo, 44.1 kHz, as FLAC."""
    time = np.arange(44_100) / 44_100
    samples = 0.5 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(tmp_path / "tone.flac", np.stack([samples, samples], axis=1), 44_100)


def test_a_sound_of_any_rate_lies_where_it_was_put(room, tone):
    samples = render(room('seconds = 3.0\n[[sound]]\nat = 1.0\nfile = "tone.flac"\ngain_db = -6.02'))
    assert len(samples) == 3 * RATE
    assert np.abs(samples[:RATE].astype(int)).max() < 100  # the microphone's own noise
    assert np.abs(samples[RATE + 500 : 2 * RATE - 500].astype(int)).max() == pytest.approx(8192, abs=150)
    spectrum = np.abs(np.fft.rfft(samples[RATE : 2 * RATE]))
    assert int(spectrum.argmax()) == 440


def test_loud_sounds_saturate_and_never_wrap(room, tone):
    samples = render(room('seconds = 1.0\n[[sound]]\nat = 0\nfile = "tone.flac"\ngain_db = 20'))
    assert samples.max() == 32_767
    assert samples.min() == -32_768
    assert np.abs(np.diff(np.sign(samples.astype(int)))).sum() / 2 < 900  # 440 Hz crosses zero that often


def test_noise_has_its_level_and_its_seed(room):
    text = "seconds = 4.0\nnoise_dbfs = -40.0\nseed = {}\n"
    one, same, other = (render(room(text.format(seed))) for seed in (1, 1, 2))
    assert 20 * np.log10(one.std() / 32_768) == pytest.approx(-40, abs=0.1)
    assert (one == same).all()
    assert (one != other).any()


def test_marks_replace_the_last_bit_of_every_sample(room, tone):
    text = 'seconds = 2.0\n[[sound]]\nat = 0.5\nfile = "tone.flac"\n'
    plain, marked = render(room(text)), render(room("marks = true\n" + text))
    assert ((plain ^ marked) >> 1 == 0).all()
    assert (marks.locate(marked) == np.arange(len(marked))).all()


def test_events_come_in_order_and_with_their_times(room, tmp_path):
    events = "".join(
        f'[[event]]\nat = {9 - at}\ndo = "{do}"\nms = 5\n' for at, do in enumerate(("stall", "power_cycle"))
    )
    events += "".join(f'[[event]]\nat = 1.5\ndo = "{do}"\n' for do in EVENTS if do not in ("stall", "power_cycle"))
    told = stage(room("seconds = 10\n" + events), tmp_path / "stage")
    assert [event["us"] for event in told["events"]] == sorted(event["us"] for event in told["events"])
    assert told["events"][-1] == {"us": 9_000_000, "do": "stall", "ms": 5}
    assert told["us"] == 10_000_000


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "needs `seconds`"),
        ("seconds = ", "is not TOML"),
        ("seconds = 0", "more than 0"),
        ("seconds = true", "`seconds` cannot be True"),
        ("seconds = 1\nlength = 2", "unknown key: `length`"),
        ("seconds = 1\n[[sound]]\nat = 0.5", "needs `file`"),
        ('seconds = 1\n[[sound]]\nat = 0\nfile = "gone.wav"', "cannot read"),
        ('seconds = 1\n[[sound]]\nat = 0\nfile = "room.toml"', "WAV, FLAC, MP3 or Ogg"),
        ('seconds = 1\n[[sound]]\nat = 0.5\nfile = "tone.flac"', "runs from 0.5 to 1.50 s, but the room ends at 1 s"),
        ('seconds = 1\n[[sound]]\nat = -1\nfile = "tone.flac"', "runs from -1"),
        ('seconds = 1\n[[event]]\nat = 0\ndo = "jump"', "nothing is called `jump`; there is press, release"),
        ('seconds = 1\n[[event]]\nat = 2\ndo = "press"', "outside of the room"),
        ('seconds = 1\n[[event]]\nat = 0\ndo = "stall"', "needs `ms`"),
        ('seconds = 1\n[[event]]\nat = 0\ndo = "press"\nms = 5', "unknown key: `ms`"),
        ("seconds = 1\n[costs]\nfeed = 5", "takes lines like"),
        ('seconds = 1\n[probes]\n"a.B.c" = 5', "takes lines like"),
        ("seconds = 1\n[speaker]\nloud = 5", "unknown key: `loud`"),
    ],
)
def test_what_is_wrong_with_a_room_is_said_in_one_line(room, tone, text, complaint):
    with pytest.raises(Mistake) as mistake:
        room(text)
    assert complaint in str(mistake.value)
    assert "\n" not in str(mistake.value)


def test_the_command_reports_a_mistake_before_it_starts_anything(tmp_path, capsys):
    from sourdine_tools import cli

    assert cli.main(["twin", str(tmp_path / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err
