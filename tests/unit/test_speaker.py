"""The speaker against an I2S that plays on a clock: nothing blocks, nothing overflows, quiet means quiet."""

from hypothesis import given
from hypothesis import strategies as st

from fakes import Clock
from sourdine import speaker, spec
from sourdine.speaker import Speaker


class I2s:
    """Plays 32 bytes a millisecond from seven DMA buffers, what a ring of 8,192 bytes has free when it says every
    sample twice; a full ring would block, and that is a failure."""

    def __init__(self, clock):
        self._clock, self._until_us, self.played = clock, 0, bytearray()

    def write(self, block):
        start = max(self._until_us, self._clock.us)
        self._until_us = start + len(block) * 1_000_000 // (2 * spec.SAMPLE_RATE)
        assert self._until_us - self._clock.us <= 7 * 16_000, "write() would have blocked"
        self.played += bytes(block)


def build():
    clock = Clock()
    clock.us = 10_000_000
    i2s, amplifier = I2s(clock), []
    return Speaker(i2s, amplifier.append, clock), i2s, amplifier, clock


def turns(box, clock, n, step_us=10_000):
    played = 0
    for _ in range(n):
        played += box.step(clock.ticks_ms())
        clock.us += step_us
    return played


def test_a_reply_comes_out_whole_and_its_credit_comes_back():
    box, i2s, amplifier, clock = build()
    reply = bytes(range(256)) * 250
    sent = credit = 0
    for _ in range(400):
        piece = reply[sent : sent + min(1_280, speaker.RING - (sent - credit))]
        if piece:
            assert box.play(piece)
            sent += len(piece)
        credit += turns(box, clock, 1)
    box.play_end()
    credit += turns(box, clock, 50)
    assert credit == len(reply)
    assert bytes(i2s.played[: len(reply)]) == reply
    assert amplifier[0] == 0 and amplifier[-1] == 0


@given(st.lists(st.binary(max_size=6_000), max_size=12))
def test_a_server_cannot_overfill_it(pieces):
    box, _, _, _ = build()
    waiting = 0
    for piece in pieces:
        fits = len(piece) % 2 == 0 and waiting + len(piece) <= speaker.RING
        assert box.play(piece) == fits
        waiting += len(piece) * fits


def test_it_is_not_quiet_until_half_a_second_after_the_last_sound():
    box, _, _, clock = build()
    clock.us += 1_000 * spec.DEAF_AFTER_PLAY_MS
    assert box.quiet(clock.ticks_ms())
    start = clock.us
    box.earcon(speaker.WAKE)
    assert not box.quiet(clock.ticks_ms())
    while box._earcon or box.sounding or clock.us == start:
        turns(box, clock, 1)
        assert not box.quiet(clock.ticks_ms())
    ended = clock.ticks_ms()
    while not box.quiet(clock.ticks_ms()):
        turns(box, clock, 1)
    assert spec.DEAF_AFTER_PLAY_MS - 10 <= clock.ticks_ms() - ended <= spec.DEAF_AFTER_PLAY_MS + 10


@given(st.lists(st.integers(1, 800), min_size=1, max_size=5))
def test_every_sound_begins_in_a_fresh_dma_buffer(lengths):
    """The driver goes on in a buffer that was begun, although its turn may come a whole ring later."""
    box, i2s, _, clock = build()
    for samples in lengths:
        assert box.play(b"\1\0" * samples)
        box.play_end()
        turns(box, clock, 80)
        assert not box.sounding
        assert len(i2s.played) % (2 * spec.DMA_FRAMES) == 0


def test_after_a_week_of_silence_it_is_still_quiet():
    """ticks_ms() wraps every 12 days: half of that after a sound, the sound seems to lie ahead."""
    box, _, _, clock = build()
    box.earcon(speaker.WAKE)
    turns(box, clock, 100)
    for _ in range(14):
        assert box.quiet(clock.ticks_ms())
        clock.us += 86_400_000_000
        turns(box, clock, 1)


def test_a_reply_that_starves_is_given_up_so_that_the_ear_opens_again():
    box, _, _, clock = build()
    box.play(bytes(640))
    turns(box, clock, speaker.STARVE_MS // 10)
    assert not box.quiet(clock.ticks_ms())
    turns(box, clock, 80)
    assert box.quiet(clock.ticks_ms())


def test_a_slow_loop_neither_blocks_nor_runs_ahead():
    box, i2s, _, clock = build()
    box.play(bytes(speaker.RING))
    turns(box, clock, 20, step_us=70_000)
    assert len(i2s.played) >= speaker.RING
