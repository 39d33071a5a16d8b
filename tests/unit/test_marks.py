"""A sample says by its own last bit when the room made it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourdine_board.twin import marks

ROOM = 60 * 16_000  # samples
MARKS = marks.bits(ROOM)


def marked(first, n, seed=0):
    """n samples of a loud room from room index `first`, as the twin's microphone would give them."""
    noise = np.random.default_rng(seed + first).integers(-30_000, 30_000, n).astype(np.int16)
    return (noise & ~1) | MARKS[first : first + n].astype(np.int16)


def noise(n, seed=1):
    return np.random.default_rng(seed).integers(-32768, 32768, n).astype(np.int16)


def test_the_sequence_obeys_its_recurrence_bit_by_bit():
    sequence = [marks.START >> i & 1 for i in range(32)]
    while len(sequence) < 20_000:
        sequence.append(sequence[-32] ^ sequence[-31] ^ sequence[-30] ^ sequence[-10])
    room = sequence[marks.LEAD :]
    assert marks.bits(len(room)).tolist() == room


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 63, 64, 65, 1000])
def test_a_shorter_room_has_the_same_marks(n):
    assert marks.bits(n).tolist() == MARKS[:n].tolist()


def test_the_polynomial_is_primitive_so_no_window_occurs_twice():
    polynomial = 1 << 32 | sum(1 << tap for tap in marks.TAPS)

    def times(a, b):
        product = 0
        while b:
            product ^= a if b & 1 else 0
            a, b = a << 1, b >> 1
            if a >> 32:
                a ^= polynomial
        return product

    def power(exponent):
        result, base = 1, 2  # 2 is x
        while exponent:
            result = times(result, base) if exponent & 1 else result
            base, exponent = times(base, base), exponent >> 1
        return result

    period = 2**32 - 1  # = 3 * 5 * 17 * 257 * 65537
    assert power(period) == 1
    assert all(power(period // prime) != 1 for prime in (3, 5, 17, 257, 65537))


def test_every_sample_of_a_room_is_recognised():
    assert marks.locate(marked(0, ROOM)).tolist() == list(range(ROOM))


def test_the_last_sample_of_the_longest_room_is_recognised():
    tail = marks.bits(marks.ROOM_MAX)[-40:].astype(np.int16)
    assert marks.locate(tail).tolist() == list(range(marks.ROOM_MAX - 40, marks.ROOM_MAX))


@pytest.mark.parametrize("first", [0, 1, 31, 32, 33, 12_345, ROOM - 32])
def test_thirty_two_samples_are_enough_and_thirty_one_are_not(first):
    piece = marked(first, 32)
    assert marks.locate(piece).tolist() == list(range(first, first + 32))
    assert marks.locate(piece[:31]).tolist() == [-1] * 31


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, ROOM - 4000), st.integers(48, 4000)), min_size=1, max_size=8), st.data())
def test_pieces_in_any_order_among_anything_are_found(pieces, data):
    """Edges may be off by a few samples where a stranger's bit happens to fit; 20 samples further in, none is."""
    parts, inner, at = [], [], 0
    for first, n in pieces:
        gap = data.draw(st.sampled_from([0, 1, 40, 999]))
        stranger = np.zeros(gap, np.int16) if data.draw(st.booleans()) else noise(gap, first)
        parts += [stranger, marked(first, n)]
        inner.append((at + gap, first, n))
        at += gap + n
    found = marks.locate(np.concatenate(parts), room=ROOM, least=40)
    for at, first, n in inner:
        assert found[at + 20 : at + n - 20].tolist() == list(range(first + 20, first + n - 20))


def test_a_stranger_just_before_the_first_sample_does_not_hide_it():
    for stranger in (0, 1):
        samples = np.concatenate([np.full(1, stranger, np.int16), marked(0, 100)])
        assert marks.locate(samples)[1:].tolist() == list(range(100))


def test_a_muted_microphone_is_never_taken_for_a_marked_one():
    assert (marks.locate(np.zeros(100_000, np.int16)) == -1).all()


@pytest.mark.parametrize("period", range(1, 9))
def test_simple_repeating_patterns_do_not_look_marked(period):
    for pattern in range(1 << period):
        tiled = np.tile(np.array([pattern >> i & 1 for i in range(period)], np.int16), 80 // period + 2)
        assert (marks.locate(tiled) == -1).all(), (period, pattern)


def test_noise_passes_for_marked_as_rarely_as_stated():
    samples = noise(1_000_000)
    pieces = (np.diff(marks.locate(samples, room=ROOM), prepend=-1) > 1).sum()
    expected = len(samples) * ROOM / 2**32 / 2  # 112: half of the windows that match only continue a piece
    assert expected * 0.6 < pieces < expected * 1.4
    assert (marks.locate(samples, room=ROOM, least=48) == -1).all()


def test_a_piece_from_beyond_the_room_is_nobodys():
    piece = marked(1000, 500)
    assert (marks.locate(piece, room=1000) == -1).all()
    assert (marks.locate(piece, room=1200) >= 0).sum() == 200


def test_fewer_than_thirty_two_marks_name_nothing():
    with pytest.raises(ValueError, match="32"):
        marks.locate(marked(0, 100), least=31)
