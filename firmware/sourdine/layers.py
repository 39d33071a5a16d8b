"""Operators that compute: convolutions, dense layers, ADD, MUL, LOGISTIC, QUANTIZE.

Each checks its shapes, packs its constants and adds its calls to the plan, like the others in operators.py.
Layers share two halves: a kernel that accumulates, and requantise(). Source: TFLM's micro/kernels/*_common.cc
(checks) and kernels/internal/reference (meaning).
"""

import struct
from array import array

from sourdine import int8, quantize
from sourdine.graph import check
from sourdine.plan import SLICE, tidy

WINDOWS_MAX = 256  # places a filter is put at, in one step
SCALING = 7  # bytes per output that _scaling() packs
REQUANTISING = 8  # cost of one output: 60 instructions, where a multiplication takes 9
OUT_OF_RANGE = "its scales or biases are out of range"
SAME, VALID = 0, 1  # paddings of the schema


def fully_connected(plan, op):
    x, w, y = op.input(0), op.weights(1), op.output(0)
    check(len(w.shape) == 2 and op.options.byte(1) == 0, "its weights are not a plain matrix")
    m, n = w.shape
    windows = x.size // n
    check(windows * n == x.size and windows * m == y.size, "its shapes do not fit together")
    _dense(plan, op, (x.read(plan), n, windows), n, m, op.options.byte(0))


def conv_2d(plan, op):
    x, w, y = op.input(0), op.weights(1), op.output(0)
    options = op.options
    check(len(x.shape) == len(w.shape) == len(y.shape) == 4, "it is not two-dimensional")
    m, height, width, channels = w.shape
    check(channels == x.shape[3] and m == y.shape[3], "its channels do not fit together")
    dilation = options.i32(5, 1), options.i32(4, 1)
    windows = _windows(plan, op, (height, width), (options.i32(2), options.i32(1)), dilation)
    _dense(plan, op, windows, height * width * channels, m, options.byte(3))


def depthwise_conv_2d(plan, op):
    x, w, y = op.input(0), op.weights(1), op.output(0)
    options = op.options
    check(len(x.shape) == len(w.shape) == len(y.shape) == 4, "it is not two-dimensional")
    one, height, width, m = w.shape
    check(one == 1 and m == x.shape[3] == y.shape[3] and options.i32(3) == 1, "a depth multiplier is not supported")
    dilation = options.i32(6, 1), options.i32(5, 1)
    windows = _windows(plan, op, (height, width), (options.i32(2), options.i32(1)), dilation)
    _depthwise(plan, op, windows, height * width, m, options.byte(4))


def _windows(plan, op, kernel, strides, dilation):
    """(address, step, count) of the filter's windows, each contiguous; gathered first if they are not."""
    x, y = op.input(0), op.output(0)
    batch, _, width, channels = x.shape
    check(batch == 1 and y.shape[0] == 1, "batches are not supported")
    check(min(strides) > 0 and min(dilation) > 0, "its strides are not positive")
    check(kernel[1] == 1 or dilation[1] == 1, "dilation along two axes is not supported")
    spans = [(kernel[i] - 1) * dilation[i] + 1 for i in (0, 1)]
    counts = [(x.shape[1 + i] - spans[i]) // strides[i] + 1 for i in (0, 1)]
    if op.options.byte(0) == SAME:
        for i in (0, 1):
            full = -(-x.shape[1 + i] // strides[i])
            check((full - 1) * strides[i] + spans[i] <= x.shape[1 + i], "padding is not supported")
            counts[i] = full
    check(min(counts) > 0 and y.shape[1:3] == tuple(counts), "its output has another shape")
    rows, columns = counts
    check(rows * columns <= WINDOWS_MAX, f"more than {WINDOWS_MAX} windows")
    strides = [strides[i] if counts[i] > 1 else 1 for i in (0, 1)]  # where none is taken, any number may stand
    dilation = [dilation[i] if kernel[i] > 1 else 1 for i in (0, 1)]
    address, row, run = x.read(plan), width * channels, kernel[1] * channels
    if kernel[0] == 1 or (kernel[1] == width and dilation[0] == 1):  # each window is one run already
        if columns == 1:
            return address, strides[0] * row, rows
        if rows == 1:
            return address, strides[1] * channels, columns
        if strides[0] == 1 and strides[1] * columns == width:
            return address, strides[1] * channels, rows * columns
    size = kernel[0] * run
    gathered = plan.block(rows * columns * size)
    for i in range(rows * columns):
        place = i // columns * strides[0] * row + i % columns * strides[1] * channels
        plan.copy((address[0], place), dilation[0] * row, (gathered, i * size), run, run, kernel[0])
    return (gathered, 0), size, rows * columns


def _dense(plan, op, windows, n, m, activation):
    """Most outputs in blocks, by int8.dense(); those that would not nearly fill one, by int8.dot()."""
    check(n <= int8.TAPS_MAX, f"more than {int8.TAPS_MAX} products per output")
    padded = n + int8.GROUP - 1 & -int8.GROUP
    block = int8.BLOCK * padded  # bytes
    blocks = m // int8.BLOCK + (0 < -m % int8.BLOCK * 8 <= m) if block <= SLICE else 0
    blocked = int8.BLOCK * blocks
    lanes = max(blocked, m)
    rest = blocks * block
    plan.afford(windows[2] * n * m)
    layer = _Layer(plan, op, m, lanes, rest + (lanes - blocked) * n)
    row, w = bytearray(n), op.weights(1)
    for i in range(m):
        w.row(i, n, row)
        if i < blocked:
            layer.pack(i, row, 0, 1, i // int8.BLOCK * block + i % int8.BLOCK, int8.BLOCK, n)
        else:
            layer.pack(i, row, 0, 1, rest + (i - blocked) * n, 1, n)
    layer.scale()
    calls = []
    for part in _slices(windows, 0, blocked, padded, int8.BLOCK, plan.cut):
        calls.append((int8.dense, part, n, part[1] // int8.BLOCK, part[0] * padded, ()))
    for part in _slices(windows, blocked, lanes, n * 5 // 4, 1, plan.cut):
        calls.append((int8.dot, part, n, part[1], rest + (part[0] - blocked) * n, ()))
    layer.finish(calls, activation)


def _depthwise(plan, op, windows, n, m, activation):
    most = SLICE // (2 * int8.LANES)
    check(n <= most, f"more than {most} products per output")
    plan.afford(windows[2] * n * m)
    layer = _Layer(plan, op, m, max(m, int8.LANES), n * m + int8.SLACK, 3)
    op.weights(1).copy(layer.constants, layer.weights)
    for i in range(m):
        layer.pack(i, layer.constants, layer.weights + i, m, i, m, n)
    layer.scale()
    calls = []
    cost = 3 * n * max(m, int8.LANES) // (2 * m)
    for part in _slices(windows, 0, m, cost, int8.LANES, plan.cut):
        block, offset = part[2]
        part = part[:2] + ((block, offset + part[0]),) + part[3:]
        calls.append((int8.depthwise, part, n, part[1], part[0], (m,)))
    layer.finish(calls, activation)


def _slices(windows, first, last, cost, unit, cut):
    """Outputs first..last - 1 of all windows, when each costs so much, cut into calls of `cut`.

    Each: (first output, how many, address of the first window, step, how many windows, its index, cost). Cut are
    the windows, or, where one of them is too much, its outputs at multiples of `unit`.
    """
    address, step, count = windows
    larger = max(cost, REQUANTISING)  # of the two calls for it
    m = most = last - first
    if m * larger > cut:
        most = cut // larger // unit * unit or unit
    number = max(cut // (most * larger), 1) if m else 1
    parts = []
    for window in range(0, count if m else 0, number):
        for at in range(0, m, most):
            if m - at < unit < m:
                at = m - unit  # some of it once more
            outputs, these = min(most, m - at), min(number, count - window)
            place = address[0], address[1] + window * step
            parts.append((first + at, outputs, place, step, these, window, outputs * these * cost))
    return parts


class _Layer:
    """A layer in the making: its constants, then its calls in pairs, which sum and requantise.

    m outputs of a window, for which `lanes` are summed. The constants: lanes biases, then what _scaling() packs,
    then `size` bytes of weights from offset `weights` on.
    """

    def __init__(self, plan, op, m, lanes, size, axis=0):
        tidy()
        w = op.weights(1)
        check(w.scales[1] in (1, m) and (w.scales[1] == 1 or w.axis == axis), "its scales do not fit its weights")
        self._plan, self._op, self._m, self._lanes = plan, op, m, lanes
        self._bias = op.bias(2, m)
        x, self._w, self._y = op.input(0), w, op.output(0)
        self._zero, self._scales = x.zero(), (quantize.scale(x.scale_bits()), quantize.scale(self._y.scale_bits()))
        self._multipliers, self._largest = [], []
        self._out = self._y.write(plan)
        self.weights = 4 * lanes + SCALING * m
        self.constants = plan.constants(self.weights + size)

    def pack(self, i, source, at, step, target, target_step, n):
        """Weights of output i, in their order, to their place (see int8.pack); its bias, and its multiplier."""
        table = array("i", (at, step, self.weights + target, target_step, n, 0, 0))
        int8.pack(source, self.constants, table)
        total, span = table[5] - 128 * n, table[6]
        up, down = (span + total) // 2, (span - total) // 2  # sums of the weights above 0, and below
        bias, zero = self._bias(i), self._zero
        largest = abs(bias) + max(up * (255 - zero) + down * zero, down * (255 - zero) + up * zero)
        check(largest < int8.LIFT, OUT_OF_RANGE)
        self._largest.append(largest)
        x, y = self._scales
        self._multipliers.append(quantize.product(x, quantize.scale(self._w.scale_bits(i)), y))
        struct.pack_into("<i", self.constants, 4 * i, bias - zero * total + int8.LIFT)

    def scale(self):
        """All outputs are packed: their scaling, too."""
        self._scaling = _scaling(self.constants, 4 * self._lanes, self._multipliers, self._largest, self._y.zero())
        self._multipliers = self._largest = None
        tidy()

    def finish(self, calls, activation):
        """The calls: (kernel, slice, n, what it counts outputs in, offset in the weights, rest of its table)."""
        plan, m = self._plan, self._m
        size = max([max(call[1][1], int8.LANES) * call[1][4] for call in calls])
        acc, out = plan.block(4 * size), self._out
        for kernel, part, n, units, at, rest in calls:
            first, lanes, address, step, windows, window, cost = part
            outputs = min(first + lanes, m) - first
            items = [address, step, windows, n, units, self.weights + at, 4 * first, (acc, 0), 4 * lanes]
            items.extend(rest)
            plan.call(kernel, self.constants, items, outputs * windows * n, cost)
            y = out[0], out[1] + window * m + first
            _requantise(plan, self.constants, (acc, 0, windows, outputs, 4 * lanes, y, m), self._scaling, first)
        _clip(plan, self._y, out, activation)


def _scaling(constants, at, multipliers, largest, zero):
    """Packs at offset `at` what takes accumulators up to largest to outputs; a function from the first output to
    the end of requantise()'s table."""
    m = len(multipliers)
    for (_, shift), a in zip(multipliers, largest):
        check(-30 <= shift <= 30 and a << max(shift, 0) < int8.LIFT, OUT_OF_RANGE)
    factors, *parameters = quantize.fast(multipliers, largest, zero)
    for i, (q, shift) in enumerate(multipliers):
        struct.pack_into("<i", constants, at + 4 * i, q)
        struct.pack_into("<H", constants, at + 4 * m + 2 * i, factors[i])
        constants[at + 6 * m + i] = 32 + shift if shift > 0 else -shift
    return lambda i: (at + 4 * m + 2 * i, at + 4 * i, at + 6 * m + i) + tuple(parameters) + (zero,)


def _requantise(plan, constants, place, scaling, first=0):
    """The second half, from output `first` on. place: block of accumulators, index of the first, windows, outputs of
    each, step, target, step."""
    acc, at, windows, outputs, step, target, target_step = place
    plan.use(acc)
    items = [(acc, 4 * at), windows, outputs, step, target, target_step]
    items.extend(scaling(first))
    plan.call(int8.requantise, constants, items, cost=windows * outputs * REQUANTISING)


def _clip(plan, y, out, activation):
    """A fused activation that leaves out more than what no output can be."""
    low, high = quantize.limits(activation, quantize.scale(y.scale_bits()), y.zero())
    if (low, high) != (0, 255):
        constants = plan.constants(256)
        for i in range(256):
            constants[i] = min(max(i, low), high)
        _translate(plan, constants, out, out, y.size)


def mul(plan, op):
    x, y, out, scales = _operands(op)
    constants = plan.constants(SCALING)
    scaling = _scaling(constants, 0, [quantize.product(*scales)], [255 * 255], out.zero())
    acc = plan.block(4 * x.size)
    items = [x.read(plan), y.read(plan), y.size, x.size // y.size, x.zero(), y.zero(), (acc, 0), int8.LIFT]
    plan.call(int8.multiply, constants, items, x.size, 4 * x.size)
    _elementwise(plan, op, constants, acc, scaling)


def add(plan, op):
    x, y, out, scales = _operands(op)
    *parts, multiplier = quantize.add(*scales)
    constants = plan.constants(2048 + SCALING)
    for i, tensor in enumerate((x, y)):
        values = quantize.addends(parts[i], tensor.zero())
        struct.pack_into("<256i", constants, 1024 * i, *[value + int8.LIFT // 2 for value in values])
    scaling = _scaling(constants, 2048, [multiplier], [1 << 28], out.zero())
    acc = plan.block(4 * x.size)
    items = [x.read(plan), y.read(plan), y.size, x.size // y.size, 0, 1024, (acc, 0)]
    plan.call(int8.add, constants, items, x.size, 4 * x.size)
    _elementwise(plan, op, constants, acc, scaling)


def _elementwise(plan, op, constants, acc, scaling):
    y = op.output(0)
    out = y.write(plan)
    most = plan.cut // REQUANTISING
    for at in range(0, y.size, most):
        _requantise(plan, constants, (acc, at, min(most, y.size - at), 1, 4, (out[0], at), 1), scaling)
    _clip(plan, y, out, op.options.byte(0))


def _operands(op):
    """(x, y, output, their scales) of a commutative operator: x has the output's shape, y may have to repeat."""
    x, y, out = op.input(0), op.input(1), op.output(0)
    if x.shape != out.shape:
        x, y = y, x
    check(x.shape == out.shape, "its output has another shape")
    tail = list(y.shape)
    while tail and tail[0] == 1:
        tail.pop(0)
    check(tuple(tail) == x.shape[len(x.shape) - len(tail) :], "these shapes cannot be spread over each other")
    return x, y, out, [quantize.scale(tensor.scale_bits()) for tensor in (x, y, out)]


def logistic(plan, op):
    x, y = op.input(0), op.output(0)
    check(y.zero() == 0, "its output's zero point is not -128")
    _lookup(plan, x, y, quantize.logistic(quantize.scale(x.scale_bits()), x.zero()))


def quantise(plan, op):
    x, y = op.input(0), op.output(0)
    scale_x, scale_y = quantize.scale(x.scale_bits()), quantize.scale(y.scale_bits())
    _lookup(plan, x, y, quantize.convert(scale_x, x.zero(), scale_y, y.zero()))


def _lookup(plan, x, y, values):
    check(x.size == y.size, "its output has another size")
    constants = plan.constants(256)
    constants[:] = values
    _translate(plan, constants, x.read(plan), y.write(plan), x.size)


def _translate(plan, values, x, y, n):
    plan.call(int8.lookup, values, [x, y, n, 0], cost=2 * n)
