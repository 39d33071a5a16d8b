"""End of speech, on shapes of loudness that a room makes: never in mid-sentence, and not for ever."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourdine import spec
from sourdine.endpoint import Endpoint, level


def story(seed, floor_db, voice_db, pause_s, command_s=2.0, before_s=5.0):
    """Mean squares per block: the room, the wake word, a pause, syllables, the room again. And when each began."""
    chance = random.Random(seed)
    db = []

    def room(seconds):
        db.extend(floor_db + chance.gauss(0, 1) for _ in range(int(seconds * 100)))

    def speech(seconds):
        while seconds > 0:
            syllable, gap = chance.uniform(0.08, 0.2), chance.uniform(0.02, 0.12)
            db.extend(max(floor_db, voice_db + chance.gauss(0, 2)) for _ in range(int(syllable * 100)))
            db.extend(max(floor_db, voice_db - 14 + chance.gauss(0, 2)) for _ in range(int(gap * 100)))
            seconds -= syllable + gap

    room(before_s)
    speech(0.6)
    wake = len(db)
    room(pause_s)
    speech(command_s)
    end = len(db)
    room(9)
    full = 2**30
    return [int(full * 10 ** (x / 10)) for x in db], wake, end


def ended_at(energies, wake):
    endpoint = Endpoint()
    for block, energy in enumerate(energies):
        if block == wake:
            endpoint.start()
        if endpoint.hear(energy) and block >= wake:
            return block
    return None


@pytest.mark.parametrize("floor_db", [-75, -60, -45], ids=["quiet", "fan", "loud"])
@pytest.mark.parametrize("pause_s", [0.0, 0.5, 1.5], ids=["at once", "a breath", "a thought"])
@pytest.mark.parametrize("snr_db", [35, 20, 12])
def test_a_session_ends_soon_after_the_last_word_and_never_before(floor_db, pause_s, snr_db):
    for seed in range(8):
        energies, wake, end = story(seed, floor_db, floor_db + snr_db, pause_s)
        block = ended_at(energies, wake)
        assert block is not None, seed
        assert end <= block <= end + 200, (seed, block - end)


@pytest.mark.parametrize("early_s", [0.2, 0.4, 0.6])
def test_a_wake_decided_long_before_a_slow_word_ends_does_not_cost_the_command(early_s):
    for seed in range(8):
        energies, wake, end = story(seed, -60, -30, pause_s=1.0)
        block = ended_at(energies, wake - int(early_s * 100))
        assert end <= block <= end + 200, (seed, block - end)


def test_a_slow_word_with_a_stop_in_it_does_not_cost_the_command():
    """As a real speaker said it: decided early, 0.16 s of closure, the rest of the word, a breath, the command."""
    quiet, loud = 1_000, 10_000_000
    shape = [(quiet, 500), (loud, 60), (quiet, 22), (loud, 40), (quiet, 95), (loud, 250), (quiet, 300)]
    energies = [energy for energy, blocks in shape for _ in range(blocks)]
    block = ended_at(energies, wake=550)
    assert block > sum(blocks for _, blocks in shape[:-1])


def test_a_wake_followed_by_nothing_ends_within_three_seconds():
    energies, wake, _ = story(1, -60, -30, 0.0, command_s=0)
    assert ended_at(energies, wake) - wake <= 300


def test_talk_without_a_pause_is_left_to_the_hard_cap():
    energies, wake, end = story(2, -60, -30, 0.0, command_s=spec.SESSION_MAX / spec.SAMPLE_RATE + 1)
    assert ended_at(energies, wake) >= end


def test_silence_is_no_error():
    endpoint = Endpoint()
    endpoint.start()
    assert [endpoint.hear(0) for _ in range(300)].index(True) == 249


def test_level_rises_with_energy_sixteen_steps_an_octave():
    levels = [level(energy) for energy in range(5000)] + [level(1 << k) for k in range(13, 31)]
    assert levels == sorted(levels)
    assert [level(1 << k) for k in range(31)] == [16 * k for k in range(31)]
    assert level(2**30) == 480


def defined_level(energy):
    octave = max(energy.bit_length() - 1, 0)
    return 16 * octave + (16 * energy >> octave) - 16 if energy else 0


@given(st.integers(0, 30).flatmap(lambda bits: st.integers(0, 1 << bits)))
def test_a_level_is_a_straight_line_between_octaves(energy):
    assert level(energy) == defined_level(energy)


def defined(blocks):
    """hear()'s answers, each from all that was heard: blocks are mean squares, "start" and "reset"."""
    heard, answers = [], []
    smooth = voice = since = quiet = 0
    paused = spoke = False
    for block in blocks:
        if block in ("start", "reset"):
            since, quiet, paused, spoke = 0, 0, False, False
            if block == "reset":
                heard, smooth, voice = [], 0, 0
            continue
        now = defined_level(block)
        smooth += (now - smooth) // 4 if now < smooth else (now - smooth + 1) // 2
        heard.append(smooth)
        oldest = max(0, len(heard) // 25 - 16) * 25  # whole windows of 25, and the one that goes on
        floor = min(480, *heard[oldest:], 480)
        voice = max(voice - (len(heard) % 12 == 0), smooth)
        since = min(since + 1, 200)
        if smooth > max(floor + 40, (floor + voice) >> 1):
            quiet, spoke = 0, spoke or paused or since > 80
        else:
            quiet = min(quiet + 1, 250)
            paused = paused or quiet >= 20
        answers.append(since == 200 and quiet >= (80 if spoke else 250))
    return answers


runs = st.tuples(st.integers(0, 1 << 30) | st.integers(0, 2000), st.integers(1, 260))


def agrees_with_the_definition(story, rough=0):
    blocks = []
    for part in story:
        blocks += [part[0] >> (rough * i % 5) for i in range(part[1])] if isinstance(part, tuple) else [part]
    endpoint, answers = Endpoint(), []
    for block in blocks:
        if isinstance(block, str):
            getattr(endpoint, block)()
        else:
            answers.append(endpoint.hear(block))
    assert answers == defined(blocks)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(runs, runs, runs, st.sampled_from(["start", "reset"])), max_size=16), st.integers(0, 3))
def test_every_answer_is_the_one_that_the_whole_past_gives(story, rough):
    agrees_with_the_definition(story, rough)


@pytest.mark.parametrize("rest", [0, 20, 79])
def test_a_pause_counts_from_the_same_block_as_defined(rest):
    quiet, loud = 900, 4_000_000
    for pause in range(60):
        agrees_with_the_definition(
            [(quiet, 450), (loud, 60), "start", (loud, rest), (quiet, pause), (loud, 10), (quiet, 300)]
        )
