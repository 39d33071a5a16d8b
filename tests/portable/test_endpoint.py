"""End of speech in plain integers: the same answers on every interpreter."""

from sourdine.endpoint import Endpoint, level


def test_levels_are_sixteenths_of_an_octave():
    assert [level(1 << k) for k in range(31)] == [16 * k for k in range(31)]
    assert [level(e) for e in (0, 3, 1000, 123456789)] == [0, 24, 159, 429]


def test_speech_then_quiet_ends_after_the_trail():
    endpoint = Endpoint()
    for _ in range(500):
        endpoint.hear(900)
    for _ in range(60):
        endpoint.hear(4_000_000)
    endpoint.start()
    ended = [endpoint.hear(4_000_000) for _ in range(100)] + [endpoint.hear(900) for _ in range(120)]
    assert not any(ended[:150])
    assert 180 <= ended.index(True) <= 200
