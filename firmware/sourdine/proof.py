"""Whether the accelerator's kernels do what viper's do: both run on the same data, once, when a room is imported.

The data is made here: numbers of every length, edges, and tables as the callers make them. Each buffer lies between
guard bytes, so that a write beside it is seen, and one buffer given twice stays one. This finds mistakes, not malice:
whoever can write the accelerator to the board can write all other files there, too.
"""

from array import array

from sourdine import tables

GUARD = 16  # bytes before and after each buffer
CHANNELS = 40


class Noise:
    """Numbers that look random and are the same on every board. Each is a piece of one row of bytes: quick to make."""

    def __init__(self, seed):
        row = bytearray(509)
        for i in range(len(row)):
            seed = seed * 16381 + 13849 & 0xFFFF  # stays a small int on every board
            row[i] = seed >> 8
        self._row = bytes(row)
        self._start = 0

    def bytes(self, n):
        self._start = (self._start + 101) % len(self._row)
        return (self._row * (n // len(self._row) + 2))[self._start : self._start + n]

    def cells(self, n, limit):
        """n uint16 below limit."""
        return array("H", [x * limit >> 16 for x in array("H", self.bytes(2 * n))])

    def words(self, n, bits):
        """n uint32 of every length from 0 to so many bits; the first is the largest."""
        values = array("I", self.bytes(4 * n))
        for i in range(n):
            values[i] = (values[i] | 1 << 31) >> (32 - bits + i % (bits + 1))
        values[0] = (1 << bits) - 1
        return values

    def signed(self, n, bits):
        """n whole numbers of so many bits and a sign."""
        return [x if i & 1 else -x for i, x in enumerate(self.words(n, bits))]


def choose(room, kernels, accel):
    """Put what is equal in place; [(name, why not)] of what is not."""
    refused = {}
    tried = set()
    for name, *arguments in CASES[room](kernels):
        tried.add(name)
        if name not in refused:
            why = difference(kernels[name], getattr(accel, name, None), arguments)
            if why:
                refused[name] = why
    for name in tried:
        if name not in refused:
            kernels[name] = getattr(accel, name)
    return sorted(refused.items())


def difference(viper, fast, arguments):
    """Why `fast` is not to be used; None if it does with these arguments what viper does."""
    if fast is None:
        return "is missing"
    expected, memory = guarded(arguments)
    result = viper(*expected)
    given, touched = guarded(arguments)
    try:
        if fast(*given) != result:
            return "returns something else"
    except Exception as error:  # noqa: BLE001  whatever it raises, viper does the work
        return f"raises {error!r}"
    return None if touched == memory else "writes something else"


def guarded(arguments):
    """(the arguments, each buffer a copy between guards; those copies)."""
    copies, memory = [], []
    for i, argument in enumerate(arguments):
        same = [copy for copy, earlier in zip(copies, arguments[:i]) if earlier is argument]
        if isinstance(argument, int):
            copies.append(argument)
        elif same:
            copies.append(same[0])
        else:
            content = bytes(argument)
            room = bytearray(b"\xa5" * GUARD + content + b"\x5a" * GUARD)
            memory.append(room)
            copies.append(memoryview(room)[GUARD : GUARD + len(content)])
    return copies, memory


def dsp(kernels):
    noise = Noise(1)
    edges = b"\0\0\0\x80\xff\xff\xff\x7f\0\0\0\0\xff\xff\xff\xff\0\xe0\xff\xff"
    for shift in (1, 13, 16):
        yield "unpack", edges + noise.bytes(60), bytes(40), 20, shift
    for word in (0, 1, -1, 32767 << 13, 32768 << 13, -32768 << 13, -32769 << 13):
        yield "unpack", array("i", [word >> 2, word, 0, 0]), bytes(8), 4, 13
    samples = b"\0\x80\xff\x7f" + noise.bytes(70)
    yield "energy", b"\0\x80" * 600, 600
    for n in (0, 1, 37):
        yield "energy", samples, n
    for n in (0, 16, 48):
        yield "copy", noise.bytes(96), bytes(100), n
        yield "lift", noise.bytes(96), bytes(100), n
    yield "window", samples + noise.bytes(22), array("H", [4096, 4096]) + noise.cells(46, 4097), bytes(96), 48
    for quiet in (0, 5, -5, 300, -4096, -32768):
        samples = array("H", [quiet + 32768, (quiet >> 1) + 32768, 32768, 32767] * 4)
        yield "window", samples, array("H", [4096] * 16), bytes(32), 16


def mel(kernels):
    noise = Noise(2)
    lengths = kernels["lengths"]()
    for energies in (array("I", [0x7FFFFFFF] * 247), noise.words(247, 31), noise.words(247, 20)):
        yield "filterbank", energies, tables.MEL_WEIGHTS, tables.MEL_COUNTS, bytes(320)
    halves = [x * x + x + i for x in (0, 1, 255, 65534, 65535, 65536, 1 << 20, 11863282) for i in (0, 1)]
    random = noise.words(24, 31)
    sums = [word for x in halves for word in (x >> 16, x & 0xFFFF)]
    sums = array("I", sums + [word for x in zip(random, noise.cells(24, 1 << 16)) for word in x])
    for shift in (0, 1, 15):
        yield "root", sums, kernels["roots"](), shift, bytes(160)
    yield "root", sums, kernels["roots"](), 3, sums
    for bits in (32, 12):
        estimates = noise.words(CHANNELS, bits)
        yield "denoise", noise.words(CHANNELS, 24), estimates
        yield "equalise", noise.words(CHANNELS, 22), estimates, tables.GAINS, lengths
        yield "equalise", noise.words(CHANNELS, bits >> 1), noise.words(CHANNELS, 7), tables.GAINS, lengths
        yield "logarithm", noise.words(CHANNELS, 25), tables.LOG, bytes(80), lengths
        yield "logarithm", noise.words(CHANNELS, 10), tables.LOG, bytes(80), lengths
    yield "quantize", array("H", [0, 1242, 664, 665]) + noise.cells(37, 700), bytes(41), 41


def fft(kernels):
    noise = Noise(4)
    order = kernels["orders"]()
    for bits in (15, 9, 0):
        yield "scatter", array("h", noise.signed(480, bits) + [0] * 32), bytes(1024), order, (1 << bits) - 1
    for m, factors in zip((4, 16, 64), kernels["twiddles"](tables.SINE)):
        yield f"stage{m}", noise.bytes(1024), factors
    factors = kernels["untwiddles"](tables.SINE)
    for cells in (noise.bytes(1024), bytes(1024), b"\xff" * 1024):
        yield "spectrum", cells, factors, bytes(4 * 247)


def int8(kernels):
    from sourdine import quantize

    noise = Noise(3)
    lift = kernels["LIFT"]

    def lifted(n, bits):
        return array("i", [lift + x for x in noise.signed(n, bits)])

    arena = noise.bytes(60)
    yield "take", arena, noise.bytes(43), array("i", [16, 43])
    copies = [4, 0, 40, 200, 40, 40, 3, 20, 104, 320, 104, 103, 1, 121, 20, 425, 21, 19, 2, 160, 4, 468, 3, 2, 3]
    yield "move", noise.bytes(480), bytes(4), array("i", copies)
    for n, windows, step in ((40, 1, 40), (13, 2, 3), (3, 1, 1)):
        x = noise.bytes(48 - n) + bytes(n) + noise.bytes(16)
        bias = bytes(4) + bytes(lifted(32, 18))
        w = b"".join([noise.bytes(16 * n) + bytes(-n % 8 * 16) for _ in range(2)])
        table = array("i", [8, step, windows, n, 2, 132, 4, 64, 132])
        yield "dense", x + bytes(264), bias + w, table
        table = array("i", [7, step, windows, n, 3, 132, 4, 64, 16])
        yield "dot", x + bytes(264), bias + w, table
    for taps, m in ((5, 40), (3, 5), (1, 33)):
        row = m + 2
        w = noise.bytes(row * taps + 31)
        table = array("i", [3, row, 2, taps, m, 160, 0, 304, 160, row])
        x = noise.bytes(304)
        yield "depthwise", x + bytes(320), bytes(lifted(40, 18)) + w, table
    yield "multiply", noise.bytes(52) + bytes(180), bytes(4), array("i", [1, 43, 9, 5, 128, 77, 52, lift])
    addends = array("i", [(lift >> 1) + x for x in noise.signed(513, 15)])
    yield "add", noise.bytes(52) + bytes(180), addends, array("i", [1, 43, 9, 5, 4, 1028, 52])
    for shift, bits, zero in ((-7, 18, 0), (-1, 10, 128), (3, 8, 255), (-30, 28, 3)):
        multipliers = [(1 << 30 | x, shift) for x in noise.words(20, 30)]
        if shift == -1:
            multipliers = [(1 << 30, shift)] * 20  # a quarter: ties
        exactly = [0] * 20, 0, 0, 0, 0  # nothing is decided by the factors
        for factors, *numbers in (quantize.fast(multipliers, [1 << bits] * 20, zero), exactly):
            constants = bytes(array("H", factors)) + bytes(array("i", [part for part, _ in multipliers]))
            constants += bytes([32 + shift if shift > 0 else -shift] * 20)
            table = array("i", [4, 2, 20, 80, 164, 21, 0, 40, 120] + numbers + [zero])
            yield "requantise", bytes(4) + bytes(lifted(40, bits)) + bytes(44), constants, table
            near = array("i", [lift + i for i in range(-21, 20)])
            yield "requantise", bytes(near) + bytes(44), constants, table
    yield "lookup", noise.bytes(90), noise.bytes(257), array("i", [1, 45, 41, 1])


CASES = {"dsp": dsp, "fft": fft, "int8": int8, "mel": mel}
