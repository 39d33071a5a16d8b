"""Bytes from anyone: the decoder yields frames or raises WireError, in the memory of one frame, at both ends."""

import hashlib
import itertools

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sourdine import spec, wire

SIDES = st.sampled_from([wire.DEVICE, wire.SERVER])
WORDS = st.integers(0, 2**32 - 1)


@st.composite
def frames(draw, side, count=8):
    """A stream of frames that one side might send: right in form, in any order; sometimes spoilt."""
    stream = b""
    for sequence in range(draw(st.integers(0, count))):
        kind = draw(st.sampled_from([kind for kind, rule in wire.FRAMES.items() if rule[0] is side]))
        _, within, shortest, longest, layout = wire.FRAMES[kind]
        if layout:
            payload = draw(st.binary(min_size=shortest, max_size=shortest))
        else:
            payload = bytes(2 * draw(st.integers(1, longest // 2)))
        session = draw(st.integers(1, 2**32 - 1)) if within else 0
        header = wire.struct.pack(wire.HEADER_LAYOUT, kind, 0, len(payload), session, sequence)
        stream += header + payload
    spoil = draw(st.integers(-1, len(stream) - 1)) if draw(st.booleans()) and stream else -1
    if spoil >= 0:
        stream = stream[:spoil] + bytes([draw(st.integers(0, 255))]) + stream[spoil + 1 :]
    return stream


def read(side, pieces):
    """The frames that come out, and whether it ended in an error."""
    decoder = wire.Decoder(side)
    got = []
    try:
        for piece in pieces:
            for frame in decoder.feed(piece):
                assert frame.length <= wire.FRAME_BYTES == len(frame.body)
                got.append((frame.kind, frame.session, frame.sequence, bytes(frame.payload())))
    except wire.WireError:
        return got, True
    return got, False


def cut(data, places):
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@settings(max_examples=300, deadline=None)
@given(SIDES, st.binary(max_size=4000), st.lists(st.integers(0, 4000), max_size=20))
@example(wire.SERVER, b"\x84\x00\xff\xff" + bytes(8), [])
def test_any_bytes_are_frames_or_an_error_whatever_the_pieces(side, data, places):
    assert read(side, [data]) == read(side, cut(data, places))


@settings(max_examples=300, deadline=None)
@given(SIDES.flatmap(lambda side: st.tuples(st.just(side), frames(side))), st.lists(st.integers(0, 9000), max_size=9))
def test_nearly_right_streams_give_the_same_frames_whatever_the_pieces(stream, places):
    side, data = stream
    got, failed = read(side, [data])
    assert (got, failed) == read(side, cut(data, places))
    again = b"".join(
        wire.struct.pack(wire.HEADER_LAYOUT, kind, 0, len(payload), session, sequence) + payload
        for kind, session, sequence, payload in got
    )
    assert data.startswith(again)


KINDS = st.sampled_from([*wire.FRAMES, 0x00, 0x7F, 0xFF])
CALLS = st.tuples(st.booleans(), KINDS, st.integers(0, 4), st.one_of(st.integers(0, 6), st.integers(0, 2**32)))


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 2), st.integers(0, 2), st.lists(CALLS, max_size=60))
def test_no_order_of_frames_confuses_the_rules(sessions, pending, calls):
    """Any order is refused or kept to the caps; after an error the caller drops the connection, so the walk goes on
    only to see that nothing but WireError is ever raised."""
    rules = wire.Rules()
    try:
        rules.hello(sessions, pending)
    except wire.WireError:
        return
    for of_device, kind, session, amount in calls:
        was_open = rules.session
        try:
            (rules.device if of_device else rules.server)(kind, session, amount)
        except wire.WireError:
            continue
        if rules.session and not was_open:
            assert of_device and kind == wire.WAKE and session > sessions
        if kind == wire.AUDIO:
            assert was_open == session
        assert rules.samples <= spec.SESSION_MAX
        assert 0 <= rules.credit <= wire.CREDIT_MAX
        assert rules.sent - rules.acked <= wire.IN_FLIGHT + 2


def test_encode_and_decode_are_each_others_inverse_for_the_longest_audio():
    noise = hashlib.sha512(b"noise").digest() * 20
    (frame,) = wire.Decoder(wire.DEVICE).feed(wire.encode(wire.AUDIO, 7, 0, noise))
    assert bytes(frame.payload()) == noise and frame.session == 7
