from array import array

from sourdine import dsp


def test_unpack_shifts_and_saturates():
    words = array("i", [0, 1 << 13, -(1 << 13), -1, (1 << 31) - 1, -(1 << 31), 32767 << 13, -32768 << 13])
    out = array("h", bytes(16))
    assert dsp.unpack(words, out, 8, 13) == 32768
    assert list(out) == [0, 1, -1, -1, 32767, -32768, 32767, -32768]


def test_unpack_says_digital_silence():
    out = array("h", [7] * 160)
    assert dsp.unpack(array("i", bytes(640)), out, 160, 13) == 0
    assert not any(out)


def test_unpack_returns_the_largest():
    out = array("h", bytes(8))
    assert dsp.unpack(array("i", [5 << 13, -9 << 13, 3 << 13, 0]), out, 4, 13) == 9
    assert dsp.unpack(array("i", [5 << 13, -9 << 13, 12 << 13, 0]), out, 4, 13) == 12


def test_energy_is_the_mean_square():
    assert dsp.energy(array("h", [3, -4, 5]), 3) == 16
    assert dsp.energy(array("h", [-32768] * 1024), 1024) == 1 << 30
    assert dsp.energy(array("h", [32767, 0, 0]), 3) == 32767 * 32767 // 3
    assert dsp.energy(array("h", [1]), 0) == 0


def test_mix_adds_and_saturates():
    out = array("h", [100, -100, 32767, -32768, 0])
    dsp.mix(out, array("h", [10, 10, 1, -1, -3]), 5, 128)
    assert list(out) == [105, -95, 32767, -32768, -2]


def test_window_reports_bits_and_forgets_the_least_integer():
    out = array("h", bytes(32))
    weights = array("H", [4096, 4096, 2048] + [1] * 13)
    assert dsp.window(array("H", [0, 32768 + 5, 32768 - 7] + [32768] * 13), weights, out, 16) == 7
    assert list(out) == [-32768, 5, -4] + [0] * 13
    for y in (0, 1, -1, 2, -2, 255, 256, -256, -255, 16384, -16384, 32767, -32767):
        bits = len(bin(abs(y))) - 2 if y else 0
        assert dsp.window(array("H", [32768 + y] * 16), array("H", [4096] * 16), out, 16) == (1 << bits) - 1


def test_lift_takes_the_sign():
    out = array("H", bytes(32))
    dsp.lift(array("h", [-32768, -1, 0, 32767] * 4), out, 16)
    assert list(out) == [0, 32767, 32768, 65535] * 4


def test_copy():
    out = array("h", bytes(36))
    dsp.copy(array("h", [1, -2, 3, 4] * 4), out, 16)
    assert list(out) == [1, -2, 3, 4] * 4 + [0, 0]
