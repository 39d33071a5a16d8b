"""A pool holds what it says, in which a word ends where it says, from one side of the split, whoever made it."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from sourdine_board.mistake import Mistake
from sourdine_training import pools, rooms, scenes, shards
from sourdine_training.executor import Executor
from sourdine_training.pools import KINDS, Options
from sourdine_training.shards import FRAMES
from sourdine_training.sources.pieces import Recording
from sourdine_training.store import Store, key

RATE = 16_000
SMALL = Options(positives=6, others=10, hours=2 / 30, valid_positives=2, valid_others=2, valid_hours=1 / 30)
FEW = rooms.Options(rooms=1)
BEEP = 5000  # Hz, the end of every word here, which nothing else has
DRY = dataclasses.replace(
    FEW, close=1.0, clean=1.0, inmp441=1.0, narrow=0.0, agc=0.0, clipped=0.0, gated=0.0, suppressed=0.0, mulaw=0.0, mp3=0.0, click=0.0,
    peak_dbfs=(-3.0, -3.0), speed=(0.9, 1.1),
)  # fmt: skip


def tone(hz, seconds):
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Spoken:
    path: Path
    kind: str
    split: str
    end_s: float
    key: str
    voice: SimpleNamespace


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Clips of both sides and recordings: on each side other frequencies, so that one can be heard from the other."""
    folder = tmp_path_factory.mktemp("sounds")
    clips, recordings = [], []
    for side, hz in (("train", 700), ("valid", 2600)):
        for number, kind in enumerate(("positive", "positive", "near", "partial", "running", "speech", "speech")):
            path = folder / f"{side}{number}.flac"
            seconds = 3.0 if kind == "running" else 0.5
            parts = [tone(hz + 40 * number, seconds), tone(BEEP, 0.06), np.zeros(800, np.float32)]
            soundfile.write(path, np.concatenate(parts), RATE)
            voice = SimpleNamespace(engine="none")
            clips.append(Spoken(path, kind, side, seconds + 0.06, key(side, number), voice))
        for kind in ("speech", "music", "ambience"):
            path = folder / f"{side}-{kind}.flac"
            soundfile.write(path, tone(hz / 2, 3), RATE)
            recordings.append(Recording(path, kind, side, "test", 3.0, key(side, kind)))
    return clips, recordings


def built(sounds, store, executor=None, split="train", options=SMALL, **changes):
    clips, recordings = changes.get("clips", sounds[0]), sounds[1]
    room = changes.get("room", FEW)
    return pools.build(clips, recordings, options, room, split, 1, store, executor or Executor.in_process())


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def pool(sounds, store):
    return built(sounds, store)


def test_a_pool_holds_what_was_asked_for(pool):
    assert pool.features.shape == (16, FRAMES, 40)
    assert pool.features[0].dtype == np.int8
    counts = dict(zip(KINDS, np.bincount(pool.kind, minlength=len(KINDS)), strict=True))
    assert counts["positive"] == 6
    assert counts["near"] + counts["partial"] + counts["running"] == 10
    assert min(counts["near"], counts["partial"], counts["running"]) >= 2
    assert pool.hours == pytest.approx(2 / 30, rel=0.01)
    assert {stream.kind for stream in pool.streams} <= set(KINDS)
    assert all(stream.features.shape[1] == 40 for stream in pool.streams)


def test_only_positives_hold_the_word_and_name_their_clip(pool, sounds):
    positive = pool.kind == KINDS.index("positive")
    assert np.all(pool.end[positive] >= shards.ENDS[0])
    assert np.all(pool.end[positive] <= shards.ENDS[1])
    assert np.all(pool.end[~positive] == -1)
    assert [sounds[0][clip].kind for clip in pool.clip] == [KINDS[kind] for kind in pool.kind]
    assert len(set(pool.end[positive])) > 3


def test_no_window_is_like_another(pool):
    assert len({window.tobytes() for window in pool.features[:]}) == len(pool.features)


def test_the_word_ends_where_the_pool_says(sounds, tmp_path):
    """Every clip ends with a beep; the band that holds it falls silent after the frame that the pool names."""
    bare = [
        dataclasses.replace(clip, kind="positive")
        for clip in sounds[0]
        if clip.kind == "positive" and clip.split == "train"
    ]
    options = dataclasses.replace(SMALL, positives=12, others=0, hours=0)
    pool = built(([], []), Store(tmp_path), options=options, room=DRY, clips=bare)
    channels = slice(28, 36)  # about 5 kHz, at any speed
    for window, end in zip(pool.features[:], pool.end, strict=True):
        band = window[:, channels].astype(int).max(axis=1)
        loudest = int(np.argmax(band))
        assert end - 9 <= loudest <= end + 1


def test_one_worker_and_two_make_the_same_bytes(pool, sounds, tmp_path):
    with Executor.processes(2) as executor:
        again = built(sounds, Store(tmp_path), executor)
    assert np.array_equal(again.features[:], pool.features[:])
    assert np.array_equal(again.end, pool.end)
    assert [each.features.tobytes() for each in again.streams] == [each.features.tobytes() for each in pool.streams]


def test_what_is_there_is_not_made_again(pool, sounds, store, monkeypatch):
    monkeypatch.setattr(shards, "features", lambda samples: pytest.fail("made again"))
    assert np.array_equal(built(sounds, store).features[:], pool.features[:])


def test_a_longer_recipe_keeps_what_a_shorter_one_made(pool, sounds, store):
    """A scene of each clip is one turn; the next turn begins behind it."""
    longer = built(sounds, store, options=dataclasses.replace(SMALL, positives=8, hours=3 / 30))
    positives = longer.features[longer.kind == 0]
    assert np.array_equal(positives[:4], pool.features[:4])
    assert longer.streams[0].features.tobytes() == pool.streams[0].features.tobytes()


def test_where_clips_are_many_any_are_taken_and_not_the_first_alone(sounds, tmp_path):
    """Clips come engine by engine: the first of them are one voice."""
    one = sounds[0][0]
    clips = [dataclasses.replace(one, key=key("many", number)) for number in range(40)]
    options = dataclasses.replace(SMALL, positives=10, others=0, hours=0)
    chosen = set(built(sounds, Store(tmp_path), clips=clips, options=options).clip)
    assert len(chosen) == 10
    assert max(chosen) > 20


def speakers(count, kind="speech", engines=("kokoro", "hibari", "piper")):
    """Clips of one kind in the order of a cast: engine after engine. Nobody opens them."""
    return [
        Spoken(Path(f"{kind}{n}.flac"), kind, "train", 1.0, key(kind, n), SimpleNamespace(engine=engines[n * len(engines) // count]))
        for n in range(count)
    ]  # fmt: skip


def planned(monkeypatch, clips, recordings=(), options=SMALL):
    """The shards that a pool would be made of."""
    shards = []
    monkeypatch.setattr(pools, "made", lambda store, shard: shards.append(shard))
    monkeypatch.setattr(pools.rooms, "bank", lambda *_: SimpleNamespace(path=Path("bank")))
    monkeypatch.setattr(pools.np, "load", lambda *_, **__: None)
    monkeypatch.setattr(pools, "_pooled", lambda *_: None)
    pools.build(clips, recordings, options, FEW, "train", 1, Store(Path("nowhere")), Executor.in_process())
    monkeypatch.undo()
    return shards


def test_every_clip_of_speech_is_heard_in_some_palette(monkeypatch):
    clips = [*speakers(1, "positive"), *speakers(900)]
    options = Options(positives=2, others=0, hours=4)
    heard = {word.key for shard in planned(monkeypatch, clips, options=options) for word in shard.sayings}
    assert heard >= {clip.key for clip in clips if clip.kind == "speech"}


def test_each_stream_has_a_palette_of_its_own_that_more_clips_hardly_change(monkeypatch):
    few = [*speakers(1, "positive"), *speakers(900)]
    options = Options(positives=2, others=0, hours=1)
    more = [*few, *(dataclasses.replace(each, key=key("more", each.key)) for each in few[1:91])]
    before, after = (
        [
            {word.key for word in shard.sayings}
            for shard in planned(monkeypatch, clips, options=options)
            if not shard.words
        ]
        for clips in (few, more)
    )
    assert len({frozenset(palette) for palette in before}) == len(before) == 30
    assert np.mean([len(a & b) / len(a) for a, b in zip(before, after, strict=True)]) > 0.85


def test_streams_of_running_sentences_hold_all_that_is_nearly_the_word(monkeypatch):
    clips = [each for kind in ("positive", "near", "partial", "running", "speech") for each in speakers(80, kind)]
    shards = planned(monkeypatch, clips, options=Options(positives=2, others=0, hours=2))
    assert {Path(w.path).stem.rstrip("0123456789") for s in shards if s.kind == "running" for w in s.sayings} == {
        "near",
        "partial",
        "running",
    }


PEOPLE, ENGINES = 0.5, 0.25  # what people and engines say in these palettes, sample by sample


@pytest.fixture
def palette():
    return scenes.Palette([np.full(RATE, ENGINES, np.float32)] * 3, [np.full(8 * RATE, PEOPLE, np.float32)] * 4, [], [])


def who(samples):
    """PEOPLE last for seconds, engines one second."""
    return "people" if len(samples) > 2 * RATE else "engines"


def test_half_of_what_surrounds_a_word_is_said_by_people(palette):
    said = []
    for seed in range(400):
        told = scenes.spoken(np.random.default_rng(seed), np.ones(8000, np.float32), 7200, 40_000, palette, FEW)
        said += [who(samples) for samples, _ in told[1:]]
    assert len(said) == pytest.approx(300, abs=50)
    assert said.count("people") / len(said) == pytest.approx(0.5, abs=0.08)


def test_people_speak_in_most_of_a_speech_stream_and_change_every_few_seconds(palette):
    talks = [
        palette.conversation(np.random.default_rng(seed), 20 * RATE, shards.PEOPLE, (0.05, 1.5)) for seed in range(300)
    ]
    assert np.mean([who(told[0][0]) == "people" for told in talks]) == pytest.approx(0.7, abs=0.08)
    lengths = [len(samples) / RATE for told in talks for samples, _ in told if who(samples) == "people"]
    assert 3 <= min(lengths) < 3.3 and 5.7 < max(lengths) <= 6
    assert all(
        abs(samples[0]) < 0.01 and abs(samples[-1]) < 0.01
        for told in talks
        for samples, _ in told
        if who(samples) == "people"
    )


@pytest.mark.parametrize("seconds", [0.8, 1.2, 1.4])
def test_a_word_lasts_no_longer_than_a_net_hears(palette, seconds):
    word = np.ones(int((seconds + 0.1) * RATE), np.float32)
    end = int((seconds + 0.05) * RATE)
    ends = [
        scenes.sped(np.random.default_rng(seed), word, end, rooms.Options(), scenes.WORD_S)[1] / RATE - 0.05
        for seed in range(60)
    ]
    assert max(ends) <= scenes.WORD_S + 0.01


def test_a_shard_follows_the_sources_that_make_it(pool, sounds, store, monkeypatch):
    monkeypatch.setattr(shards, "code", lambda: "edited")
    monkeypatch.setattr(shards, "features", lambda samples: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        built(sounds, store)


def test_it_is_told_which_engines_and_packages_took_part(sounds):
    told = pools.took_part(speakers(9), [*sounds[1], *sounds[1]])
    assert told["engines"] == {"hibari": 3, "kokoro": 3, "piper": 3}
    assert told["recordings"] == {"test": pytest.approx(36 / 3600, abs=0.005)}


def test_no_sound_crosses_the_split(sounds, tmp_path, monkeypatch):
    opened = []
    read = soundfile.read
    monkeypatch.setattr(
        scenes.soundfile, "read", lambda path, *rest, **more: opened.append(str(path)) or read(path, *rest, **more)
    )
    for split, other in (("train", "valid"), ("valid", "train")):
        opened.clear()
        built(sounds, Store(tmp_path), split=split)
        assert opened
        assert not [path for path in opened if Path(path).name.startswith(other)]


def test_takes_of_the_owner_get_their_share(sounds, tmp_path):
    clips = list(sounds[0])
    taken = dataclasses.replace(clips[0], voice=SimpleNamespace(engine="take"), key=key("take"))
    pool = built(
        sounds,
        Store(tmp_path),
        clips=[*clips, taken],
        options=dataclasses.replace(SMALL, positives=20, others=0, hours=0),
    )
    assert np.count_nonzero(pool.clip == len(clips)) == 5
    alone = built(
        sounds, Store(tmp_path), clips=[taken], options=dataclasses.replace(SMALL, positives=5, others=0, hours=0)
    )
    assert len(alone.features) == 5


def test_calibration_shows_windows_with_the_word(pool):
    shown = pools.calibration(pool, 4, 7)
    held = {window.tobytes() for window in pool.features[pool.end >= 0]}
    assert shown.shape == (4, FRAMES, 40)
    assert {window.tobytes() for window in shown} <= held


def test_without_the_word_there_is_nothing_to_learn(sounds, tmp_path):
    clips = [clip for clip in sounds[0] if clip.kind != "positive"]
    with pytest.raises(Mistake, match="more voices"):
        built(sounds, Store(tmp_path), clips=clips)


def test_without_any_recording_there_are_still_scenes(sounds, tmp_path):
    pool = built((sounds[0], []), Store(tmp_path), options=dataclasses.replace(SMALL, hours=2 / 30))
    assert len(pool.streams) == 2
    assert min(len(np.unique(stream.features)) for stream in pool.streams) > 20


def test_a_stack_is_indexed_as_an_array_is(pool):
    whole = pool.features[:]
    rows = np.array([3, 0, 9])
    assert np.array_equal(pool.features[rows], whole[rows])
    assert np.array_equal(pool.features[2:5], whole[2:5])
    assert np.array_equal(pool.features[7, 10:20], whole[7, 10:20])
    assert np.array_equal(pool.features[rows, 10:20], whole[rows, 10:20])
    assert np.array_equal(pool.features[-1], whole[-1])
    assert np.array_equal(pool.features[np.zeros(0, int)], whole[:0])
    assert np.array_equal(np.asarray(pool.features), whole)
    with pytest.raises(IndexError):
        pool.features[len(pool.features)]
