"""What a run takes is said before it begins, and how far it is never goes back."""

import dataclasses
import os
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourdine_board.mistake import Mistake
from sourdine_training import plan, run
from sourdine_training.plan import Journey, Part
from sourdine_training.recipe import of_tier
from sourdine_training.sources import recorded
from sourdine_training.store import Store
from sourdine_training.voices import Options, cast
from sourdine_training.words import Line

STAGES = ("recordings", "voices", "scenes", "nets", "export", "judgement")
ALONE = dataclasses.replace(of_tier("quick"), recordings=False)
LINES = [Line("hey sourdine", "positive", "en", "hˈA sˈʊɹdin"), Line("hey you", "near", "en")]
FEW = Options(kokoro=0, hibari=6, piper=0, flite=0, festival=0, espeak=0, near=0, partial=0, running=0, speech=0)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def planned(store, recipe=ALONE, workers=1, voices=FEW):
    return {part.stage: part for part in plan.plan(recipe, cast(LINES, voices, 1), store, workers)}


def test_every_stage_of_a_run_is_planned(store):
    assert tuple(planned(store)) == STAGES


def test_what_is_in_the_store_is_not_planned_again(store):
    before = planned(store)["voices"]
    sayings = cast(LINES, FEW, 1)
    for saying in sayings[: len(sayings) // 2]:
        store.path("voices", saying.key, ".flac").touch()
    half = planned(store)["voices"]
    assert 0 < half.seconds < before.seconds
    assert 0 < half.bytes < before.bytes
    for saying in sayings:
        store.path("voices", saying.key, ".none").touch()  # known not to come out
    assert (planned(store)["voices"].seconds, planned(store)["voices"].bytes) == (0, 0)


def test_making_room_for_a_run_spares_what_it_has_already(store):
    sayings = cast(LINES, FEW, 1)
    paths = [store.path("voices", saying.key, ".flac") for saying in sayings]
    other = store.path("voices", "0" * 32, ".flac")
    for path in (*paths, other):
        path.write_bytes(bytes(1000))
        os.utime(path, (0, 0))
    with store.using():
        planned(store)
        store.trim(0)
    assert all(path.exists() for path in paths)
    assert not other.exists()


def test_only_recordings_that_are_wanted_and_missing_are_fetched(store):
    assert planned(store)["recordings"] == Part("recordings", 0)
    wanted = dataclasses.replace(ALONE, recordings=True)
    everything = planned(store, wanted)["recordings"]
    assert everything.bytes == plan.FETCHED_BYTES
    store.path("recorded", "0" * 32).mkdir()  # the user's own folder
    assert planned(store, wanted)["recordings"] == everything
    for package in recorded.missing(store)[1:]:
        store.path("recorded", recorded._content(package)).mkdir()
    assert 0 < planned(store, wanted)["recordings"].bytes < everything.bytes / 5


def test_two_workers_halve_what_they_share_and_nothing_else(store):
    one, two = planned(store, workers=1), planned(store, workers=2)
    for stage in STAGES:
        assert two[stage].seconds == one[stage].seconds / (2 if stage in ("voices", "scenes") else 1)


@pytest.mark.parametrize(
    ("room", "option", "stage"),
    [("pools", "hours", "scenes"), ("pools", "positives", "scenes"), ("fit", "steps", "nets")],
)
def test_more_takes_longer(store, room, option, stage):
    options = getattr(ALONE, room)
    more = dataclasses.replace(options, **{option: 2 * getattr(options, option)})
    assert planned(store, dataclasses.replace(ALONE, **{room: more}))[stage].seconds > planned(store)[stage].seconds


def test_what_is_ahead_is_said_in_time_and_bytes(store):
    lines = run.described([Part("voices", 5000, 2_500_000_000), Part("nets", 700), Part("export", 0)], store)
    assert lines[0] == f"about 1.6 h on this machine, and 2.5 GB in {store.root}"
    assert [line.split() for line in lines[1:]] == [["voices", "83", "min"], ["nets", "12", "min"]]


def test_a_disk_without_room_is_a_mistake_before_anything_is_made(store, monkeypatch):
    parts = [Part("voices", 1, 2_000_000_000), Part("scenes", 1, 3_000_000_000)]
    for free, enough in ((6_000_000_000, True), (5_999_999_999, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: shutil._ntuple_diskusage(10**12, 0, free))
        if enough:
            plan.check(parts, store.root)
        else:
            with pytest.raises(Mistake, match=r"has 6.0 GB free and this takes 6.0 GB: make room.*SOURDINE_CACHE"):
                plan.check(parts, store.root)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "1 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h"), (40_000, "11.1 h")],
)
def test_a_duration_is_said_in_the_unit_that_people_use(seconds, said):
    assert plan.duration(seconds) == said


TOLD = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.floats(0, 100)), max_size=4)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1e4), TOLD), min_size=1, max_size=5),
    st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_progress_never_goes_back_and_ends_at_one(stages, skipped):
    """Whatever the stages tell, forwards or backwards, at whatever pace, and whichever of them never begin."""
    now, told = [0.0], []
    parts = [Part(str(number), seconds) for number, (seconds, _) in enumerate(stages)]
    journey = Journey(parts, lambda share, left, what: told.append((share, left)), lambda: now[0])
    for number, (_, said) in enumerate(stages):
        if skipped[number] and number < len(stages) - 1:
            continue
        progress = journey.stage(str(number))
        for done, total, later in said:
            now[0] += later
            progress(done, total, "at work")
        progress(1, 1, "done")
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[0] >= 0
    assert shares[-1] == pytest.approx(1)
    assert told[-1][1] == pytest.approx(0)
    assert all(left >= 0 for _, left in told)


def test_the_time_left_follows_the_pace_once_there_is_one():
    now, told = [0.0], []
    journey = Journey([Part("voices", 100), Part("nets", 50)], lambda *said: told.append(said), lambda: now[0])
    progress = journey.stage("voices")
    assert told[-1] == (0.0, 150.0, "voices: begins")
    now[0] = 30.0
    progress(1, 10, "clips")  # three times as slow as planned
    assert told[-1][1] == pytest.approx(9 * 30 + 50)
