"""The wire, on CPython and MicroPython: caps of every frame, and every short history of frames against the rules."""

import sys

from sourdine import spec, wire

SAMPLE = {
    wire.HELLO: (wire.VERSION, 0, 0, 0, bytes(32)),
    wire.WAKE: (77,),
    wire.AUDIO: (b"ab" * 640,),
    wire.END: (1, 640, spec.SILENCE, bytes(32)),
    wire.EVENT: (wire.MUTED,),
    wire.STATS: (1, 2, 3, 4),
    wire.PING: (),
    wire.CREDIT: (16384,),
    wire.WELCOME: (0, wire.VERSION, 0, 1_800_000_000, spec.SESSION_MAX),
    wire.ACK: (3,),
    wire.CLOSE: (),
    wire.PLAY: (b"cd",),
    wire.PLAY_END: (),
    wire.PONG: (9,),
    wire.CHAIN: (5, bytes(32)),
    wire.ERROR: (wire.BUSY,),
}


def refused(side, *pieces):
    """Whether a decoder refuses these bytes."""
    decoder = wire.Decoder(side)
    try:
        for piece in pieces:
            for _ in decoder.feed(piece):
                pass
    except wire.WireError:
        return True
    return False


def one(kind, sequence=0, session=None):
    session = (1 if wire.FRAMES[kind][1] else 0) if session is None else session
    return wire.encode(kind, session, sequence, *SAMPLE[kind])


def header(kind, flags, length, session, sequence):
    return bytes([kind, flags, length >> 8, length & 255]) + session.to_bytes(4, "big") + sequence.to_bytes(4, "big")


def test_every_frame_arrives_whole_whatever_the_pieces():
    for side in (wire.DEVICE, wire.SERVER):
        kinds = [kind for kind in sorted(wire.FRAMES) if wire.FRAMES[kind][0] is side]
        stream = b"".join([one(kind, i) for i, kind in enumerate(kinds)])
        for size in (1, 2, 11, 12, 13, 100, len(stream)):
            decoder = wire.Decoder(side)
            got = []
            for at in range(0, len(stream), size):
                for frame in decoder.feed(stream[at : at + size]):
                    got.append(frame.kind)
                    if wire.FRAMES[frame.kind][4]:
                        assert frame.values() == SAMPLE[frame.kind]
                    else:
                        assert bytes(frame.payload()) == SAMPLE[frame.kind][0]
            assert got == kinds and not decoder.partial, size


def test_a_frame_from_the_wrong_side_is_refused():
    for kind, (side, _, _, _, _) in wire.FRAMES.items():
        assert refused(wire.SERVER if side is wire.DEVICE else wire.DEVICE, one(kind)), kind


def test_an_unknown_type_is_refused_at_both_ends():
    for kind in range(256):
        if kind not in wire.FRAMES:
            for session in (0, 1):
                assert refused(wire.DEVICE, header(kind, 0, 4, session, 0))
                assert refused(wire.SERVER, header(kind, 0, 4, session, 0))


def test_a_length_outside_its_caps_is_refused_before_its_payload():
    for kind, (side, within, shortest, longest, layout) in wire.FRAMES.items():
        for length in (0, 1, 2, 3, 641, shortest - 1, shortest, longest, longest + 1, 1281, 1282, 65535):
            if length < 0:
                continue
            good = shortest <= length <= longest and (layout or length % 2 == 0)
            assert refused(side, header(kind, 0, length, int(within), 0)) is not bool(good), (kind, length)


def test_a_flag_is_refused():
    for kind in wire.FRAMES:
        good = one(kind)
        assert refused(wire.FRAMES[kind][0], good[:1] + b"\x01" + good[2:])


def test_only_frames_of_a_session_name_one():
    for kind, (side, within, _, _, _) in wire.FRAMES.items():
        assert refused(side, one(kind, session=0 if within else 1))


def test_a_repeated_skipped_or_late_sequence_number_is_refused():
    assert not refused(wire.DEVICE, one(wire.PING, 0), one(wire.PING, 1))
    assert refused(wire.DEVICE, one(wire.PING, 1))
    assert refused(wire.DEVICE, one(wire.PING, 0), one(wire.PING, 0))
    assert refused(wire.DEVICE, one(wire.PING, 0), one(wire.PING, 2))


def test_after_a_refusal_nothing_is_read_any_more():
    decoder = wire.Decoder(wire.DEVICE)
    for piece in (b"\xff" * 12, one(wire.PING, 0)):
        try:
            assert not list(decoder.feed(piece))
        except wire.WireError:
            continue
        raise AssertionError("a decoder came back to life")


def test_no_type_but_audio_has_room_for_a_block_of_samples_or_a_vector_of_features():
    for side, kinds in ((wire.DEVICE, wire.AUDIO), (wire.SERVER, wire.PLAY)):
        for kind, (whose, _, _, longest, layout) in wire.FRAMES.items():
            if whose is side and kind not in (kinds, wire.HELLO):
                assert layout and longest < 2 * spec.HOP
                if side is wire.DEVICE and kind != wire.END:
                    assert longest < spec.CHANNELS


# The rules, against a definition that looks at the whole history instead of keeping a state.

BASE = 4  # sessions before this connection
DEPTH = 6 if sys.implementation.name == "cpython" else 5
DEVICE = [(wire.WAKE, s, 0) for s in (4, 5, 6)] + [(wire.AUDIO, s, 2) for s in (4, 5, 6)]
DEVICE += [(wire.END, s, n) for s in (4, 5) for n in (0, 1)] + [(wire.PING, 0, 0), (wire.CREDIT, 0, 2)]
SERVER = [(wire.WELCOME, 0, 0), (wire.CHAIN, 0, 0), (wire.ERROR, 0, 0)]
SERVER += [(wire.ACK, 0, n) for n in (0, 1, 2)] + [(wire.PONG, 0, 1)]
SERVER += [(kind, s, 0) for s in (4, 5, 6) for kind in (wire.CLOSE, wire.PLAY_END)]
SERVER += [(wire.PLAY, s, 2) for s in (4, 5)]


def lawful(past, frame, pending):
    """Whether the frame may follow, by docs/wire.md, given every frame before it."""
    kind, session, amount = frame
    names = [f[0] for f in past]
    wakes = [f[1] for f in past if f[0] == wire.WAKE]
    ends = [f[1] for f in past if f[0] == wire.END]
    is_open = wakes and wakes[-1] not in ends
    sent = 1 + len([f for f in past if f in DEVICE])  # with HELLO
    if kind == wire.ERROR:
        return True
    if kind == wire.WELCOME:
        return wire.WELCOME not in names
    if wire.WELCOME not in names:
        return False
    if kind == wire.WAKE:
        return not is_open and session > BASE and session not in wakes and session >= max(wakes + [0])
    if kind == wire.AUDIO:
        return bool(is_open and session == wakes[-1])
    if kind == wire.END:
        if is_open:
            return session == wakes[-1] and amount == names.count(wire.AUDIO) - before(past, wakes[-1])
        return bool(pending and session == BASE and not wakes and not ends)
    if kind in (wire.ACK, wire.PONG):
        newest = max([f[2] for f in past if f[0] in (wire.ACK, wire.PONG)] + [0])
        return newest < amount < sent and (kind == wire.ACK or names.count(wire.PONG) < names.count(wire.PING))
    if kind == wire.CLOSE:
        return BASE < session <= max(wakes + [0]) and all(f[1] < session for f in past if f[0] == wire.CLOSE)
    if kind in (wire.PLAY, wire.PLAY_END):
        room = sum([f[2] for f in past if f[0] == wire.CREDIT]) - sum([f[2] for f in past if f[0] == wire.PLAY])
        over = [f[1] for f in past if f[0] == wire.PLAY_END]
        fits = BASE < session <= max(wakes + [0]) and session > max(over + [0])
        return fits and not (is_open and session == wakes[-1]) and amount <= room
    if kind == wire.CHAIN:
        return names.count(wire.CHAIN) < names.count(wire.END)
    return True  # PING, CREDIT


def before(past, session):
    """AUDIO frames before the WAKE of a session."""
    at = next(i for i, f in enumerate(past) if f[0] == wire.WAKE and f[1] == session)
    return len([f for f in past[:at] if f[0] == wire.AUDIO])


def copy(rules):
    twin = wire.Rules()
    for name, value in rules.__dict__.items():
        setattr(twin, name, value)
    return twin


def walk(rules, past, pending, depth):
    count = 0
    for frame in DEVICE + SERVER:
        after = copy(rules)
        try:
            if frame in DEVICE:
                after.device(*frame)
            else:
                after.server(*frame)
            accepted = True
        except wire.WireError:
            accepted = False
        assert accepted is lawful(past, frame, pending), (past, frame, accepted)
        count += 1
        if accepted and depth > 1 and frame[0] != wire.ERROR:
            count += walk(after, past + [frame], pending, depth - 1)
    return count


def test_every_short_history_obeys_the_rules():
    for pending in (0, 1):
        rules = wire.Rules()
        rules.hello(BASE, pending)
        rules.server(wire.WELCOME, 0, 0)
        assert walk(rules, [(wire.WELCOME, 0, 0)], pending, DEPTH) > 10_000


def test_nothing_but_hello_is_lawful_first():
    for kind, session, amount in DEVICE + SERVER:
        rules = wire.Rules()
        try:
            if (kind, session, amount) in DEVICE:
                rules.device(kind, session, amount)
            else:
                rules.server(kind, session, amount)
        except wire.WireError:
            continue
        assert kind == wire.ERROR, kind


def greeted():
    rules = wire.Rules()
    rules.hello(0, 0)
    rules.server(wire.WELCOME, 0, 0)
    return rules


def breaks(call, *arguments):
    try:
        call(*arguments)
    except wire.WireError:
        return True
    return False


def test_a_session_has_a_hard_cap():
    rules = greeted()
    rules.device(wire.WAKE, 1)
    left = 2 * spec.SESSION_MAX
    while left:
        size = min(left, wire.FRAME_BYTES)
        rules.device(wire.AUDIO, 1, size)
        rules.server(wire.ACK, 0, rules.sent - 1)
        left -= size
    assert breaks(rules.device, wire.AUDIO, 1, 2)


def test_unanswered_frames_have_a_cap():
    rules = greeted()
    for _ in range(wire.IN_FLIGHT):
        rules.device(wire.PING, 0)
    assert breaks(rules.device, wire.PING, 0)


def test_credit_has_a_cap():
    rules = greeted()
    rules.device(wire.CREDIT, 0, wire.CREDIT_MAX)
    assert breaks(rules.device, wire.CREDIT, 0, 1)
    assert breaks(rules.device, wire.CREDIT, 0, 0)
