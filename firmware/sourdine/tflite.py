"""Runs a streaming .tflite model, step by step, with the results of TensorFlow Lite Micro to the last bit.

A model takes int8 features [1, stride, 40] and gives one probability. Its state is held in variables of the
model (VAR_HANDLE and so on, as microWakeWord makes them), or in further inputs and outputs: then the k-th
further input takes what the k-th further output gave, and starts as its zero point.

The file is checked while it is read; whatever is truncated, hostile, too large or not supported raises
ModelError with a text for the user, before anything runs. step() trusts only what was checked here.
"""

from array import array

from sourdine import int8, operators, spec
from sourdine.flatbuffer import Flatbuffer, ModelError
from sourdine.graph import INT8, SIZE_MAX, Graph, check
from sourdine.plan import NOTHING, Plan, addresses, tidy

__all__ = ["Model", "ModelError", "Net"]

SCALE = 0x3DD0D0D1  # bits of the float32 26/255: what the frontend's features are in; their zero point is -128
SCALE_SLACK = 256  # bits that a model's may be off, 3e-5 of it


class Net:
    """A .tflite in memory, checked and planned; its children say how features get in and when it runs.

    `data`: the .tflite as bytes-like, or as a file open in binary mode; either may go afterwards; the packed weights,
    about half of it, stay.

    stride  features that one step takes, at most STRIDE_MAX
    macs    multiplications per step, at most MACS_MAX
    arena   bytes of tensors and states; `weights` bytes of constants
    states  variables that carry from step to step
    """

    STRIDE_MAX = 16
    MACS_MAX = CUT = None  # plan's

    def __init__(self, data):
        data = Flatbuffer(data)
        check(data.size <= SIZE_MAX, f"a model of {data.size} bytes; at most {SIZE_MAX} are supported")
        check(data.size >= 8 and data.u32(4) == 0x334C4654, "this is not a .tflite file")  # "TFL3"
        model = data.root()
        check(model.i32(0) == 3, f"a .tflite of version {model.i32(0)}; only 3 is supported")
        plan = Plan(self.MACS_MAX, self.CUT)
        graph = Graph(model, 0)
        features, score, states = _ends(graph, self.STRIDE_MAX)
        same = abs(features.scale_bits() - SCALE) <= SCALE_SLACK and features.zero() == 0
        check(same, "its features are not of scale 26/255 and zero point -128")
        self.stride = features.shape[1]
        places = self._ask_room(plan, features)
        for index, (state, _) in enumerate(states):
            plan.variables[index] = state.keep(plan), state.kind()
        initial = add_all(plan, model, graph)
        score = score.read(plan)
        for state, result in states:
            plan.copy(result.read(plan), state.size, state.read(plan), state.size, state.size)
        self.macs = plan.macs
        self.weights = plan.weights
        self.states = len(plan.variables)
        starts = _starts(plan, initial)
        self._arena, self._calls = plan.finish()
        self._costs = array("i", plan.costs)
        self._score = score[0].place
        self._starts = [(kernel, addresses(items)) for kernel, items in starts]
        self._take_places(places)
        self.arena = len(self._arena)
        self.reset()

    def reset(self):
        """Forget everything heard."""
        for kernel, table in self._starts:
            kernel(self._arena, NOTHING, table)

    def _ask_room(self, plan, features):
        """Ask `plan` for the room of `features`; gives what _take_places() gets once addresses are known."""
        raise NotImplementedError

    def _take_places(self, places):
        raise NotImplementedError


class Model(Net):
    """A spotter: takes `stride` features a step, all at once or one by one, and is done with it before it returns."""

    def _ask_room(self, plan, features):
        target = features.keep(plan)
        return [(target, spec.CHANNELS * i) for i in range(self.stride)]

    def _take_places(self, places):
        self._all = addresses([places[0], spec.CHANNELS * self.stride])  # tables of int8.take
        self._slots = [addresses([place, spec.CHANNELS]) for place in places]

    def reset(self):
        self._slot = 0
        Net.reset(self)

    def step(self, features):
        """Probability 0..255 after `stride` more features (int8, stride * CHANNELS of them). Allocates nothing."""
        if len(features) != self.stride * spec.CHANNELS:
            raise ValueError("features of another size")
        int8.take(self._arena, features, self._all)
        return self._run()

    def feed(self, features):
        """The same by single features (int8, CHANNELS of them): -1 until `stride` of them are there."""
        if len(features) != spec.CHANNELS:
            raise ValueError("features of another size")
        slot = self._slot
        int8.take(self._arena, features, self._slots[slot])
        slot += 1
        if slot < self.stride:
            self._slot = slot
            return -1
        self._slot = 0
        return self._run()

    def _run(self):
        arena = self._arena
        for kernel, constants, table in self._calls:
            kernel(arena, constants, table)
        return arena[self._score]


def _ends(graph, stride_max):
    """(features, score, [(state, its next value)]): the tensors that a step takes and gives."""
    inputs, outputs = list(graph.inputs), list(graph.outputs)
    features = [i for i in inputs if _is_features(graph.tensor(i), stride_max)]
    scores = [i for i in outputs if graph.tensor(i).size == 1]
    check(features, f"no input is int8 [1, 1..{stride_max}, {spec.CHANNELS}]")
    check(scores, "no output is a single number")
    check(not any(i in inputs for i in outputs), "an input is an output, too")
    inputs.remove(features[0])
    outputs.remove(scores[0])
    check(len(inputs) == len(outputs), f"there are {len(inputs)} states in, but {len(outputs)} out")
    states = []
    for i, o in zip(inputs, outputs):
        state, result = graph.tensor(i), graph.tensor(o)
        check(
            state.shape == result.shape and state.kind() == result.kind(), "a state comes out in another shape or scale"
        )
        states.append((state, result))
    return graph.tensor(features[0]), graph.tensor(scores[0]), states


def _is_features(tensor, stride_max):
    shape = tensor.shape
    return (
        tensor.type == INT8
        and len(shape) == 3
        and shape[0] == 1
        and shape[1] <= stride_max
        and shape[2] == spec.CHANNELS
    )


def add_all(plan, model, graph):
    """Add every operator to the plan; returns the graph that sets the variables at the start, or None."""
    initial = None
    for index in range(graph.size):
        tidy()
        op = graph.operator(index)
        plan.now = index
        if op.code == operators.CALL_ONCE:
            check(initial is None, "more than one CALL_ONCE")
            initial = Graph(model, op.options.i32(0))
            continue
        check(op.code in operators.KNOWN, f"operator type {op.code} is not supported")
        name, add = operators.KNOWN[op.code]
        try:
            add(plan, op)
        except ModelError as error:
            raise ModelError(f"{name} (operator {index}): {error}")
    plan.now = graph.size
    return initial


def _starts(plan, initial):
    """Calls that set every variable: to its zero point, or to what the initial graph assigns."""
    values = {name: (block, kind[3], None) for name, (block, kind) in plan.variables.items()}
    for index in range(initial.size if initial else 0):
        op = initial.operator(index)
        check(op.code in (operators.VAR_HANDLE, operators.ASSIGN_VARIABLE), "the initial graph does more than assign")
        if op.code == operators.VAR_HANDLE:
            operators.var_handle(plan, op)
            continue
        tensor = op.input(1)
        block = plan.variable(op.variable(), tensor)
        check(tensor.is_constant(), "the initial graph assigns what it does not hold")
        content = tensor.content()
        uniform = content == bytes(content[:1]) * tensor.size
        values[op.variable()] = block, content[0], None if uniform else tensor
    fills, moves = [], []
    for block, value, tensor in values.values():
        if tensor is None:
            fills.extend(((block, 0), block.size, value))
        else:
            moves.extend((tensor.read(plan), block.size, (block, 0), block.size, block.size, 1))
    fills.insert(0, len(fills) // 3)
    moves.insert(0, len(moves) // 6)
    return (int8.fill, fills), (int8.move, moves)
