"""What each operator of a net asks of the plan: its shapes checked, its constants packed, its calls added.

An operator is refused (ModelError) whenever it is not exactly what the kernels do. Tensors are those of
tflite.py. Numbers of operators, options and types are those of TensorFlow Lite's schema.fbs, version 3.
Source: TFLM's micro/kernels/*_common.cc (checks) and kernels/internal/reference (meaning).
"""

import struct
from array import array

from sourdine import int8, quantize
from sourdine.flatbuffer import ModelError

WINDOWS_MAX = 256  # places a filter is put at, in one step
RUNS_MAX = 64  # copies that one slice may take
SAME = 0  # padding


def check(condition, text):
    if not condition:
        raise ModelError(text)


def _product(numbers):
    n = 1
    for number in numbers:
        n *= number
    return n


def _axis(axis, tensor):
    axis += len(tensor.shape) if axis < 0 else 0
    check(0 <= axis < len(tensor.shape), f"there is no axis {axis}")
    return axis


# Moving data ---------------------------------------------------------------------------------------------


def reshape(plan, op):
    x, y = op.input(0), op.output(0)
    check(x.type == y.type and x.size == y.size, "the two shapes do not hold the same data")
    plan.copy(x.read(plan), x.size, y.write(plan), y.size, x.size)


def concatenation(plan, op):
    y = op.output(0)
    axis = _axis(op.options.i32(0), y)
    check(op.options.byte(1) == 0, "a fused activation is not supported")
    check(_join(plan, [op.input(i) for i in range(len(op.inputs))], y, axis, True), "its shapes do not fit together")


def split(plan, op):
    _split(plan, op, op.input(1), op.constant(0))


def split_v(plan, op):
    _split(plan, op, op.input(0), op.constant(2))


def _split(plan, op, x, axis):
    parts = [op.output(i) for i in range(len(op.outputs))]
    check(len(axis) == 1 and _join(plan, parts, x, _axis(axis[0], x), False), "its shapes do not fit together")


def _join(plan, parts, whole, axis, joining):
    """Copy parts to the whole (joining) or back, side by side along the axis; whether they fit."""
    outer, inner = _product(whole.shape[:axis]), _product(whole.shape[axis + 1 :])
    row = whole.size // outer
    at = 0
    whole_at = whole.write(plan)[0] if joining else whole.read(plan)[0]
    for part in parts:
        n = part.size // outer
        shape = whole.shape[:axis] + (n // inner,) + whole.shape[axis + 1 :]
        if part.shape != shape or part.type != whole.type or at + n > row:
            return False
        if joining:
            check(part.scale_bits() == whole.scale_bits() and part.zero() == whole.zero(), "its scales differ")
            plan.copy(part.read(plan), n, (whole_at, at), row, n, outer)
        else:
            plan.copy((whole_at, at), row, part.write(plan), n, n, outer)
        at += n
    return at == row


def strided_slice(plan, op):
    x, y = op.input(0), op.output(0)
    dims = len(x.shape)
    begin, end, strides = op.constant(1), op.constant(2), op.constant(3)
    begin_mask, end_mask, shrink = op.options.i32(0), op.options.i32(1), op.options.i32(4)
    check(op.options.i32(2) == 0 and op.options.i32(3) == 0 and op.options.byte(5) == 0, "its masks are not supported")
    check(len(begin) == len(end) == len(strides) == dims, "its bounds do not fit the input")
    levels = []  # from the last axis to the first: (how many, bytes between them); the first level is the run
    offset, run, step = 0, 1, 1
    for i in range(dims - 1, -1, -1):
        n, stride = x.shape[i], strides[i]
        check(stride > 0, f"a stride of {stride} is not supported")
        first = 0 if begin_mask >> i & 1 else min(max(begin[i] + (n if begin[i] < 0 else 0), 0), n)
        last = n if end_mask >> i & 1 else min(max(end[i] + (n if end[i] < 0 else 0), 0), n)
        if shrink >> i & 1:
            last = first + 1
        count = -((first - last) // stride)
        check(0 < count and first + (count - 1) * stride < n, "it is empty or leaves the input")
        offset += first * step
        if run == step and stride == 1:
            run *= count  # still one run of neighbours
        elif count > 1:
            levels.append((count, stride * step))
        step *= n
    check(x.type == y.type and y.size == run * _product([count for count, _ in levels]), "its output has another size")
    source, target = x.read(plan), y.write(plan)
    inner = levels[0] if levels else (1, run)
    places = [offset]
    for count, step in levels[1:]:
        check(len(places) * count <= RUNS_MAX, "it takes too many copies")
        places = [place + step * i for i in range(count) for place in places]
    for i, place in enumerate(places):
        plan.copy((source[0], place), inner[1], (target[0], i * run * inner[0]), run, run, inner[0])


# Layers --------------------------------------------------------------------------------------------------


def fully_connected(plan, op):
    x, w, y = op.input(0), op.weights(1), op.output(0)
    check(len(w.shape) == 2 and op.options.byte(1) == 0, "its weights are not a plain matrix")
    m, n = w.shape
    windows = x.size // n
    check(windows * n == x.size and windows * m == y.size, "its shapes do not fit together")
    _layer(plan, op, int8.dense, (x.read(plan), n, windows), (n, m, 1, n), op.options.byte(0))


def conv_2d(plan, op):
    x, w, y = op.input(0), op.weights(1), op.output(0)
    options = op.options
    check(len(x.shape) == len(w.shape) == len(y.shape) == 4, "it is not two-dimensional")
    m, height, width, channels = w.shape
    check(channels == x.shape[3] and m == y.shape[3], "its channels do not fit together")
    dilation = options.i32(5, 1), options.i32(4, 1)
    windows = _windows(plan, op, (height, width), (options.i32(2), options.i32(1)), dilation)
    n = height * width * channels
    _layer(plan, op, int8.dense, windows, (n, m, 1, n), options.byte(3))


def depthwise_conv_2d(plan, op):
    x, w, y = op.input(0), op.weights(1), op.output(0)
    options = op.options
    check(len(x.shape) == len(w.shape) == len(y.shape) == 4, "it is not two-dimensional")
    one, height, width, m = w.shape
    check(one == 1 and m == x.shape[3] == y.shape[3] and options.i32(3) == 1, "a depth multiplier is not supported")
    dilation = options.i32(6, 1), options.i32(5, 1)
    windows = _windows(plan, op, (height, width), (options.i32(2), options.i32(1)), dilation)
    _layer(plan, op, int8.depthwise, windows, (height * width, m, m, 1), options.byte(4), 3)


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


def _layer(plan, op, kernel, windows, sizes, activation, axis=0):
    """Accumulate and requantise: the common half of all layers. sizes: n per output, m outputs, and pack()'s steps."""
    x, w, y = op.input(0), op.weights(1), op.output(0)
    address, step, count = windows
    n, m = sizes[:2]
    check(n <= int8.TAPS_MAX, f"more than {int8.TAPS_MAX} products per output")
    check(w.scales[1] in (1, m) and (w.scales[1] == 1 or w.axis == axis), "its scales do not fit its weights")
    bias = op.bias(2, m)
    scale_x, zero_x, scale_y = quantize.scale(x.scale_bits()), x.zero(), quantize.scale(y.scale_bits())

    def filler(weights, at):
        """[m biases][m multipliers][m shifts][weights], see int8.dense and requantise."""
        w.copy(weights, at + 9 * m)
        int8.pack(weights, weights, array("i", (at + 9 * m, at, n, m, sizes[2], sizes[3])))
        for i in range(m):
            total = struct.unpack_from("<i", weights, at + 4 * i)[0] - 128 * n  # of the weights as int8
            b = bias(i)
            multiplier, shift = quantize.product(scale_x, quantize.scale(w.scale_bits(i)), scale_y)
            _pack_multiplier(weights, at + 4 * m, m, i, multiplier, shift, abs(b) + n * 255 * 128)
            struct.pack_into("<i", weights, at + 4 * i, b - zero_x * total + int8.LIFT)

    at = plan.constant((9 + n) * m, filler)
    acc = plan.block(4 * count * m)
    plan.call(kernel, [address, step, count, n, m, at + 9 * m, at, (acc, 0)], count * n * m)
    _requantise(plan, acc, count, m, at + 4 * m, y, activation)


def _pack_multiplier(weights, at, m, i, multiplier, shift, largest):
    """Multiplier i of m, and its shift, after checking that an accumulator up to `largest` stays in range."""
    check(-30 <= shift <= 30 and largest << max(shift, 0) < int8.LIFT, "its scales or biases are out of range")
    struct.pack_into("<i", weights, at + 4 * i, multiplier)
    weights[at + 4 * m + i] = 32 + shift if shift > 0 else -shift


def _requantise(plan, acc, windows, m, at, y, activation):
    low, high = quantize.limits(activation, quantize.scale(y.scale_bits()), y.zero())
    out = y.write(plan)
    plan.use(acc)
    plan.call(int8.requantise, [(acc, 0), windows, m, at, at + 4 * m, out, y.zero(), low, high, int8.LIFT])


# Element by element --------------------------------------------------------------------------------------


def mul(plan, op):
    x, y, out = _operands(op)
    scales = [quantize.scale(tensor.scale_bits()) for tensor in (x, y, out)]
    multiplier, shift = quantize.product(*scales)
    acc = plan.block(4 * x.size)
    items = [x.read(plan), y.read(plan), y.size, x.size // y.size, x.zero(), y.zero(), (acc, 0), int8.LIFT]
    plan.call(int8.multiply, items, x.size)
    at = plan.constant(5, lambda weights, at: _pack_multiplier(weights, at, 1, 0, multiplier, shift, 255 * 255))
    _requantise(plan, acc, x.size, 1, at, out, op.options.byte(0))


def add(plan, op):
    x, y, out = _operands(op)
    scales = [quantize.scale(tensor.scale_bits()) for tensor in (x, y, out)]
    x_part, y_part, (multiplier, shift) = quantize.add(*scales)

    def addends(tensor, part):
        def filler(weights, at):
            for value in quantize.addends(part, tensor.zero()):
                struct.pack_into("<i", weights, at, value + int8.LIFT // 2)
                at += 4

        return plan.constant(1024, filler)

    acc = plan.block(4 * x.size)
    tables = addends(x, x_part), addends(y, y_part)
    plan.call(int8.add, [x.read(plan), y.read(plan), y.size, x.size // y.size, tables[0], tables[1], (acc, 0)], x.size)
    at = plan.constant(5, lambda weights, at: _pack_multiplier(weights, at, 1, 0, multiplier, shift, 1 << 29))
    _requantise(plan, acc, x.size, 1, at, out, op.options.byte(0))


def _operands(op):
    """The inputs of a commutative operator, the one with the output's shape first; the other may repeat."""
    x, y, out = op.input(0), op.input(1), op.output(0)
    if x.shape != out.shape:
        x, y = y, x
    check(x.shape == out.shape, "its output has another shape")
    tail = list(y.shape)
    while tail and tail[0] == 1:
        tail.pop(0)
    check(tuple(tail) == x.shape[len(x.shape) - len(tail) :], "these shapes cannot be spread over each other")
    return x, y, out


def logistic(plan, op):
    x, y = op.input(0), op.output(0)
    check(y.zero() == 0, "its output's zero point is not -128")
    _lookup(plan, x, y, lambda: quantize.logistic(quantize.scale(x.scale_bits()), x.zero()))


def quantise(plan, op):
    x, y = op.input(0), op.output(0)
    scale_x, scale_y = quantize.scale(x.scale_bits()), quantize.scale(y.scale_bits())
    _lookup(plan, x, y, lambda: quantize.convert(scale_x, x.zero(), scale_y, y.zero()))


def _lookup(plan, x, y, values):
    check(x.size == y.size, "its output has another size")

    def filler(weights, at):
        weights[at : at + 256] = values()

    plan.call(int8.lookup, [x.read(plan), y.write(plan), x.size, plan.constant(256, filler)])


# State ---------------------------------------------------------------------------------------------------


def var_handle(plan, op):
    op.output(0).variable = op.options.text(0) + b"/" + op.options.text(1)


def read_variable(plan, op):
    y = op.output(0)
    plan.copy((op.variable(plan, y), 0), y.size, y.write(plan), y.size, y.size)


def assign_variable(plan, op):
    x = op.input(1)
    plan.copy(x.read(plan), x.size, (op.variable(plan, x), 0), x.size, x.size)


KNOWN = {
    0: ("ADD", add),
    2: ("CONCATENATION", concatenation),
    3: ("CONV_2D", conv_2d),
    4: ("DEPTHWISE_CONV_2D", depthwise_conv_2d),
    9: ("FULLY_CONNECTED", fully_connected),
    14: ("LOGISTIC", logistic),
    18: ("MUL", mul),
    22: ("RESHAPE", reshape),
    45: ("STRIDED_SLICE", strided_slice),
    49: ("SPLIT", split),
    102: ("SPLIT_V", split_v),
    114: ("QUANTIZE", quantise),
    142: ("VAR_HANDLE", var_handle),
    143: ("READ_VARIABLE", read_variable),
    144: ("ASSIGN_VARIABLE", assign_variable),
}
CALL_ONCE, VAR_HANDLE, ASSIGN_VARIABLE = 129, 142, 144
