"""Small nets to order: a .tflite from a few lines, and both interpreters' answers to it.

`Net` writes the flatbuffer with tflite-micro's own schema; `ours` and `theirs` run it on the same inputs.
"""

from collections.abc import Callable, Sequence

import flatbuffers
import numpy as np
from tflite_micro.python.tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from sourdine.flatbuffer import Flatbuffer
from sourdine.graph import Graph
from sourdine.plan import Plan
from sourdine.tflite import add_all

TYPES = {"int8": schema.TensorType.INT8, "uint8": schema.TensorType.UINT8, "int32": schema.TensorType.INT32}
OPTIONS = {
    "ADD": "Add",
    "CONCATENATION": "Concatenation",
    "CONV_2D": "Conv2D",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "FULLY_CONNECTED": "FullyConnected",
    "MUL": "Mul",
    "STRIDED_SLICE": "StridedSlice",
    "VAR_HANDLE": "VarHandle",
    "CALL_ONCE": "CallOnce",
    "SPLIT": "Split",
    "SPLIT_V": "SplitV",
}


class Net:
    """One .tflite in the making; tensors are referred to by the index that tensor() gives."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.operatorCodes, self.model.subgraphs = [], []
        self.model.buffers = [schema.BufferT()]
        self.graph()

    def graph(self) -> None:
        """What follows goes into a further subgraph."""
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._graph.inputs, self._graph.outputs = [], []
        self.model.subgraphs.append(self._graph)

    def tensor(
        self,
        shape: Sequence[int],
        scale: float | Sequence[float] | None = 0.1,
        zero: int = 0,
        data: np.ndarray | None = None,
        kind: str = "int8",
        axis: int = 0,
        name: str = "",
    ) -> int:
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer, tensor.name = list(shape), TYPES[kind], 0, name
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            quantization = schema.QuantizationParametersT()
            quantization.scale, quantization.zeroPoint = scales, np.full(len(scales), zero, np.int64)
            quantization.quantizedDimension = axis
            tensor.quantization = quantization
        # A buffer of its own even when empty, as the converter writes them.
        buffer = schema.BufferT()
        if data is not None:
            buffer.data = np.frombuffer(np.asarray(data, kind).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        tensor.buffer = len(self.model.buffers) - 1
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def constant(self, *values: int) -> int:
        return self.tensor([len(values)], scale=None, data=np.array(values, np.int32), kind="int32")

    def handle(self, name: str) -> int:
        index = self.tensor([], scale=None, kind="int32")
        self._graph.tensors[index].type = schema.TensorType.RESOURCE
        self.op("VAR_HANDLE", [], [index], container=b"", sharedName=name.encode())
        return index

    def op(self, name: str, inputs: Sequence[int], outputs: Sequence[int], **options: object) -> None:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = 1
        self.model.operatorCodes.append(code)
        op = schema.OperatorT()
        op.opcodeIndex = len(self.model.operatorCodes) - 1
        op.inputs, op.outputs = list(inputs), list(outputs)
        if name in OPTIONS:
            kind = OPTIONS[name] + "Options"
            op.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            op.builtinOptions = getattr(schema, kind + "T")()
            for key, value in options.items():
                assert hasattr(op.builtinOptions, key), key
                setattr(op.builtinOptions, key, value)
        self._graph.operators.append(op)

    def build(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The file; inputs and outputs are the first subgraph's."""
        self.model.subgraphs[0].inputs, self.model.subgraphs[0].outputs = list(inputs), list(outputs)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def second_stage(random: np.random.Generator, features: int = 150, channels: int = 8, says: int | None = None) -> bytes:
    """A verifier: [1, features, 40] → convolution, depthwise convolution, dense → a score, uint8 [1, 1].

    Its weights are random, and it says something else about every sound; or always about `says`, 0 or 255.
    """
    net = Net()
    scale = 26 / 255
    x, tall = net.tensor([1, features, 40], scale, -128), net.tensor([1, features, 1, 40], scale, -128)
    net.op("RESHAPE", [x, net.constant(1, features, 1, 40)], [tall])
    plain = {"padding": schema.Padding.VALID, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    relu = schema.ActivationFunctionType.RELU
    rows = (features - 5) // 3 + 1
    y = net.tensor([1, rows, 1, channels], 0.1, -128)
    layer = _layer(net, random, [channels, 5, 1, 40], 0, scale)
    net.op("CONV_2D", [tall, *layer], [y], strideH=3, fusedActivationFunction=relu, **plain)
    taps = min(rows, 7)
    rows -= taps - 1
    z = net.tensor([1, rows, 1, channels], 0.1, -128)
    layer = _layer(net, random, [1, taps, 1, channels], 3, 0.1)
    options = {"strideH": 1, "depthMultiplier": 1, "fusedActivationFunction": relu}
    net.op("DEPTHWISE_CONV_2D", [y, *layer], [z], **options, **plain)
    n = rows * channels
    flat, logit = net.tensor([1, n], 0.1, -128), net.tensor([1, 1], 0.1)
    net.op("RESHAPE", [z, net.constant(1, n)], [flat])
    w, b = _layer(net, random, [1, n], 0, 0.1, spread=1.0)
    if says is not None:
        w = net.tensor([1, n], 0.001, data=np.zeros(n))
        b = net.tensor([1], 0.0001, data=np.array([200_000 if says else -200_000]), kind="int32")
    net.op("FULLY_CONNECTED", [flat, w, b], [logit])
    sigmoid, score = net.tensor([1, 1], 1 / 256, -128), net.tensor([1, 1], 1 / 256, 0, kind="uint8")
    net.op("LOGISTIC", [logit], [sigmoid])
    net.op("QUANTIZE", [sigmoid], [score])
    return net.build([x], [score])


def _layer(
    net: Net, random: np.random.Generator, shape: list[int], axis: int, scale_x: float, spread: float = 5.0
) -> list[int]:
    """Random weights, so large that outputs spread about so far, and no bias."""
    m, n = shape[axis], int(np.prod(shape)) // shape[axis]
    scale = spread / (1000 * scale_x * np.sqrt(n))
    w = net.tensor(shape, [scale] * m, data=random.integers(-127, 128, shape), axis=axis)
    return [w, net.tensor([m], [scale * scale_x] * m, data=np.zeros(m), kind="int32")]


def theirs(data: bytes, *steps: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
    """tflite-micro's outputs after each step's inputs."""
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=1 << 22)
    out = []
    for inputs in steps:
        for i, x in enumerate(inputs):
            interpreter.set_input(x, i)
        interpreter.invoke()
        count = len(schema.Model.GetRootAsModel(data, 0).Subgraphs(0).OutputsAsNumpy())
        out.append([interpreter.get_output(i).copy() for i in range(count)])
    return out


def ours(data: bytes, *steps: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
    """The same by the firmware's plan, for nets of any inputs and outputs; not the variables' first content."""
    model, plan = Flatbuffer(data).root(), Plan()
    graph = Graph(model, 0)
    sources = [graph.tensor(i).keep(plan) for i in graph.inputs]
    add_all(plan, model, graph)
    targets = [graph.tensor(i) for i in graph.outputs]
    places = [target.read(plan)[0] for target in targets]
    arena, calls = plan.finish()
    out = []
    for inputs in steps:
        for x, block in zip(inputs, sources, strict=True):
            arena[block.place : block.place + block.size] = biased(x).tobytes()
        for kernel, constants, table in calls:
            kernel(arena, constants, table)
        out.append([])
        for target, block in zip(targets, places, strict=True):
            y = np.frombuffer(bytes(arena[block.place : block.place + block.size]), np.uint8).reshape(target.shape)
            out[-1].append(y if target.type == TYPES["uint8"] else biased(y).view(np.int8))
    return out


def biased(x: np.ndarray) -> np.ndarray:
    """int8 as value + 128, and back; uint8 input of a net stays as it is."""
    return np.ascontiguousarray(x).view(np.uint8) ^ 0x80


def changed(data: bytes, change: Callable[[Callable], None]) -> bytes:
    """The model after change(find), where find(name) is the tensor of that name, find(None) the whole."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))

    def find(name: str | None) -> object:
        tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
        return model if name is None else next(t for t in tensors if t.name == name.encode())

    change(find)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
