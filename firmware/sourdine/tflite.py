"""Runs a streaming .tflite model, step by step, with the results of TensorFlow Lite Micro to the last bit.

A model takes int8 features [1, stride, 40] and gives one probability. Its state is held in variables of the
model (VAR_HANDLE and so on, as microWakeWord makes them), or in further inputs and outputs: then the k-th
further input takes what the k-th further output gave, and starts as its zero point.

The file is checked while it is read; whatever is truncated, hostile, too large or not supported raises
ModelError with a text for the user, before anything runs. step() trusts only what was checked here.
Source: TensorFlow Lite's schema.fbs, version 3 (numbers of fields and types).
"""

from sourdine import int8, operators, spec
from sourdine.flatbuffer import Flatbuffer, ModelError
from sourdine.operators import check
from sourdine.plan import Plan, addresses

__all__ = ["Model", "ModelError"]

SIZE_MAX = 524_288  # bytes of a model file
OPERATORS_MAX = 256
TENSORS_MAX = 512
STRIDE_MAX = 16  # features per step
VARIABLES_MAX = 32
INT32, UINT8, INT8 = 2, 3, 9  # types of tensors


class Tensor:
    """One tensor of the file, and where it lives in the plan."""

    def __init__(self, table, model):
        self._data = table.data
        self.shape = table.integers(0, 6)
        self.type = table.byte(1)
        self.size = 1
        for n in self.shape:
            check(0 < n <= SIZE_MAX, "a tensor's shape is not positive")
            self.size *= n
            check(self.size <= SIZE_MAX, "a tensor is too large")
        buffer = model.item(4, table.u32(2))
        check(buffer.u32(1) == 0, "constants outside the model are not supported")
        self._at, self._length = buffer.vector(0, 1)
        check(self._length in (0, self.size * (4 if self.type == INT32 else 1)), "a constant has another size")
        quantization = table.table(4)
        self.scales = quantization.vector(2, 4)
        self._zeros = quantization.vector(3, 8)
        self.axis = quantization.i32(6)
        self.variable = None  # name, if this is a handle
        self._block = None

    def scale_bits(self, index=0):
        """Bits of the float32 scale; the last one serves every index beyond it."""
        at, count = self.scales
        check(count > 0, "a tensor is not quantised")
        return self._data.u32(at + 4 * min(index, count - 1))

    def zero(self):
        """Zero point as the plan holds it (value + 128 for int8)."""
        zero = self._zero(0) + self._bias()
        check(0 <= zero <= 255, "a zero point is out of range")
        return zero

    def _zero(self, index):
        at, count = self._zeros
        return self._data.read("<q", 8, at + 8 * index) if index < count else 0

    def _bias(self):
        check(self.type in (INT8, UINT8), f"only int8 tensors are supported, this is type {self.type}")
        return 128 if self.type == INT8 else 0

    def read(self, plan):
        """(block, offset) of its data, in use until now at least."""
        if self._block is None:
            check(self.is_constant(), "a tensor is used before anything is in it")
            self.keep(plan)
            plan.preload(self._block, self.load)
        plan.use(self._block)
        return self._block, 0

    def write(self, plan):
        """(block, offset) for its data, which lives from now on."""
        self._bias()
        check(self._block is None and not self._length, "a tensor is written twice")
        self._block = plan.block(self.size)
        return self._block, 0

    def keep(self, plan):
        """Live for ever: an input, or a constant. Returns the block."""
        self._bias()
        check(self._block is None, "a tensor is written twice")
        self._block = plan.block(self.size, keep=True)
        return self._block

    def load(self, arena, at):
        """A constant's bytes as the plan holds them."""
        self.copy(arena, at)
        bias = self._bias()
        for i in range(at, at + self.size):
            arena[i] ^= bias

    def copy(self, target, at):
        """A constant's bytes as they are in the file."""
        self._data.copy(self._at, self.size, target, at)

    def integers(self):
        """A small int32 constant."""
        check(self.type == INT32 and 0 < self._length <= 32, "a parameter is not a small constant")
        return tuple([self.integer(i) for i in range(self.size)])

    def integer(self, index):
        return self._data.i32(self._at + 4 * index)

    def is_constant(self):
        return self._length > 0

    def is_weights(self):
        return self.type == INT8 and self.is_constant() and not any(self._zero(i) for i in range(self._zeros[1]))

    def is_bias(self, size):
        return self.type == INT32 and self._length == 4 * size

    def same_scale(self, other):
        return self.type == other.type and self.scale_bits() == other.scale_bits() and self.zero() == other.zero()


class Graph:
    """One subgraph: tensors on demand, operators in order."""

    def __init__(self, model, index):
        self._model = model
        self._table = model.item(2, index)
        self._tensors = {}
        self.inputs = self._table.integers(1, VARIABLES_MAX + 1)
        self.outputs = self._table.integers(2, VARIABLES_MAX + 1)
        check(self._table.vector(0)[1] <= TENSORS_MAX, f"more than {TENSORS_MAX} tensors")
        self.size = self._table.vector(3)[1]
        check(self.size <= OPERATORS_MAX, f"more than {OPERATORS_MAX} operators")

    def tensor(self, index):
        if index not in self._tensors:
            self._tensors[index] = Tensor(self._table.item(0, index), self._model)
        return self._tensors[index]

    def operator(self, index):
        return Operator(self._model, self, self._table.item(3, index))


class Operator:
    """One operator; operators.py asks it for what it needs, in the role it needs it."""

    def __init__(self, model, graph, table):
        code = model.item(1, table.u32(0))
        old = code.byte(0)
        self.code = max(code.i32(3), old if old < 128 else 0)
        self.inputs = table.integers(1, 16)
        self.outputs = table.integers(2, 16)
        self.options = table.table(4)
        self._graph = graph

    def input(self, index):
        check(index < len(self.inputs), "it has too few inputs")
        return self._graph.tensor(self.inputs[index])

    def output(self, index):
        check(index < len(self.outputs), "it has too few outputs")
        return self._graph.tensor(self.outputs[index])

    def constant(self, index):
        return self.input(index).integers()

    def weights(self, index):
        tensor = self.input(index)
        check(tensor.is_weights(), "its weights are not int8 constants around 0")
        return tensor

    def bias(self, index, size):
        """Function from an output's index to its bias."""
        if index >= len(self.inputs) or self.inputs[index] < 0:
            return lambda i: 0
        tensor = self.input(index)
        check(tensor.is_bias(size), f"its bias is not {size} constants")
        return tensor.integer

    def variable(self, plan, tensor):
        """Block of the variable that input 0 is a handle of; it holds what `tensor` holds."""
        name = self.input(0).variable
        check(name is not None, "its first input is not a variable")
        if name not in plan.variables:
            check(len(plan.variables) < VARIABLES_MAX, f"more than {VARIABLES_MAX} variables")
            plan.variables[name] = plan.block(tensor.size, keep=True), tensor
        block, first = plan.variables[name]
        check(first.size == tensor.size and first.same_scale(tensor), "a variable changes its size or scale")
        return block


class Model:
    """A model ready to run. `data`: the .tflite as bytes-like, or as a file open in binary mode; either may go
    afterwards, the packed weights (about 0.6 of the file) stay.

    stride    features that one step takes
    channels  numbers in a feature (spec.CHANNELS)
    macs      multiplications per step
    arena     bytes of tensors and states; `weights` bytes of constants
    """

    def __init__(self, data):
        data = Flatbuffer(data)
        check(data.size <= SIZE_MAX, f"a model of {data.size} bytes; at most {SIZE_MAX} are supported")
        check(data.size >= 8 and data.u32(4) == 0x334C4654, "this is not a .tflite file")  # "TFL3"
        model = data.root()
        check(model.i32(0) == 3, f"a .tflite of version {model.i32(0)}; only 3 is supported")
        plan = Plan()
        graph = Graph(model, 0)
        features, score, states = _ends(graph)
        self.stride = features.shape[1]
        self.channels = spec.CHANNELS
        target = features.keep(plan)
        for index, (state, _) in enumerate(states):
            plan.variables[index] = state.keep(plan), state
        initial = _add_all(plan, model, graph)
        score = score.read(plan)
        for state, result in states:
            plan.copy(result.read(plan), state.size, state.read(plan), state.size, state.size)
        self.macs = plan.macs
        starts = _starts(plan, initial)
        self._arena, self._weights, self._calls = plan.finish()
        self._score = score[0].place
        slots = [(target, self.channels * i) for i in range(self.stride)]
        self._slots = [addresses([slot, self.channels]) for slot in slots]  # tables of int8.take
        self._all = addresses([(target, 0), features.size])
        self._slot = 0
        self._starts = [(kernel, addresses(items)) for kernel, items in starts]
        self.arena = len(self._arena)
        self.weights = len(self._weights)
        self.reset()

    def reset(self):
        """Forget everything heard."""
        self._slot = 0
        for kernel, table in self._starts:
            kernel(self._arena, self._weights, table)

    def step(self, features):
        """Probability 0..255 after `stride` more features (int8, stride * channels of them). Allocates nothing."""
        if len(features) != self.stride * self.channels:
            raise ValueError("features of another size")
        int8.take(self._arena, features, self._all)
        return self._run()

    def feed(self, features):
        """The same by single features (int8, channels of them): -1 until `stride` of them are there."""
        if len(features) != self.channels:
            raise ValueError("features of another size")
        int8.take(self._arena, features, self._slots[self._slot])
        self._slot += 1
        if self._slot < self.stride:
            return -1
        self._slot = 0
        return self._run()

    def _run(self):
        for kernel, table in self._calls:
            kernel(self._arena, self._weights, table)
        return self._arena[self._score]


def _ends(graph):
    """(features, score, [(state, its next value)]): the tensors that a step takes and gives."""
    inputs, outputs = list(graph.inputs), list(graph.outputs)
    features = [i for i in inputs if _is_features(graph.tensor(i))]
    scores = [i for i in outputs if graph.tensor(i).size == 1]
    check(features, f"no input is int8 [1, 1..{STRIDE_MAX}, {spec.CHANNELS}]")
    check(scores, "no output is a single number")
    check(not any(i in inputs for i in outputs), "an input is an output, too")
    inputs.remove(features[0])
    outputs.remove(scores[0])
    check(len(inputs) == len(outputs), f"there are {len(inputs)} states in, but {len(outputs)} out")
    states = []
    for i, o in zip(inputs, outputs):
        state, result = graph.tensor(i), graph.tensor(o)
        check(state.shape == result.shape and state.same_scale(result), "a state comes out in another shape or scale")
        states.append((state, result))
    return graph.tensor(features[0]), graph.tensor(scores[0]), states


def _is_features(tensor):
    shape = tensor.shape
    return (
        tensor.type == INT8
        and len(shape) == 3
        and shape[0] == 1
        and shape[1] <= STRIDE_MAX
        and shape[2] == spec.CHANNELS
    )


def _add_all(plan, model, graph):
    """Add every operator to the plan; returns the graph that sets the variables at the start, or None."""
    initial = None
    for index in range(graph.size):
        op = graph.operator(index)
        plan.now = index
        if op.code == operators.CALL_ONCE:
            check(initial is None, "more than one CALL_ONCE")
            initial = Graph(model, op.options.i32(0))
            continue
        name, add = operators.KNOWN.get(op.code, (f"operator type {op.code}", None))
        check(add is not None, f"{name} is not supported")
        try:
            add(plan, op)
        except ModelError as error:
            raise ModelError(f"{name} (operator {index}): {error}")
    plan.now = graph.size
    return initial


def _starts(plan, initial):
    """Calls that set every variable: to its zero point, or to what the initial graph assigns."""
    values = {name: (block, tensor.zero(), None) for name, (block, tensor) in plan.variables.items()}
    for index in range(initial.size if initial else 0):
        op = initial.operator(index)
        check(op.code in (operators.VAR_HANDLE, operators.ASSIGN_VARIABLE), "the initial graph does more than assign")
        if op.code == operators.VAR_HANDLE:
            operators.var_handle(plan, op)
            continue
        tensor = op.input(1)
        block = op.variable(plan, tensor)
        content = bytearray(tensor.size)
        check(tensor.is_constant(), "the initial graph assigns what it does not hold")
        tensor.load(content, 0)
        uniform = content == bytes(content[:1]) * tensor.size
        values[op.input(0).variable] = block, content[0], None if uniform else tensor
    fill, move = [0], [0]
    for block, value, tensor in values.values():
        if tensor is None:
            fill[0] += 1
            fill.extend(((block, 0), block.size, value))
        else:
            move[0] += 1
            move.extend((tensor.read(plan), block.size, (block, 0), block.size, block.size, 1))
    return (int8.fill, fill), (int8.move, move)
