"""Weights → an int8 .tflite, in the operators and quantisation of microWakeWord's models.

Written tensor by tensor, not by TensorFlow's converter: the scales are those that the net was trained with, the
same weights give the same bytes, and nothing but the weights is needed. Source: TensorFlow Lite's "8-bit
quantization specification" (symmetric weights per channel, bias of scale input * weight).
"""

import numpy as np
from numpy.typing import NDArray

from sourdine_training.export.graph import Graph
from sourdine_training.export.ranges import seen
from sourdine_training.net import quant
from sourdine_training.net.options import VERIFIER_FRAMES
from sourdine_training.net.stack import BANDS, STEP, Conv, Head, Mix, Point, lengths
from sourdine_training.net.weights import Weights

ZERO = -128
SCORE = 1 / 256  # of the probability
LOGITS = 6.25  # beyond it the probability is 0 or 255 anyway: finer steps for the others


def tflite(weights: Weights, windows: NDArray[np.int8] | None = None) -> bytes:
    """A spotter, int8 [1, 3, 40] → uint8 [1, 1] with variables, or a verifier, int8 [1, 150, 40] → uint8 [1, 1].

    windows  int8 [n, T, 40] with the word in them: give each layer its range where training left none
    """
    return _Writer(weights, ranged(weights, windows)).write()


def ranged(weights: Weights, windows: NDArray[np.int8] | None) -> NDArray[np.float32]:
    """[layers, 2]: what int8 must hold of each layer's output."""
    ranges = weights.ranges.copy()
    unknown = np.isnan(ranges).any(1)
    if unknown.any():
        if windows is None:
            raise ValueError("this net was trained without quantisation: it takes windows to calibrate it")
        ranges[unknown] = seen(weights, windows)[unknown]
    ranges[-1] = np.clip(ranges[-1], -LOGITS, LOGITS)
    return ranges


class _Writer:
    def __init__(self, weights: Weights, ranges: NDArray[np.float32]) -> None:
        self._weights, self._ranges = weights, ranges
        self._graph = Graph()
        self._states: list[tuple[str, list[int], float, int]] = []

    def write(self) -> bytes:
        graph, stack = self._graph, self._weights.stack
        spotter = self._weights.kind == "spotter"
        frames = STEP if spotter else VERIFIER_FRAMES
        counts = [1] * len(stack) if spotter else lengths(stack, frames)
        scale, zero = quant.FULL / 255, ZERO
        features = graph.tensor("features", [1, frames, BANDS], scale, zero)
        initial = graph.subgraph("initial") if spotter else 0
        if spotter:
            graph.go_back(0)
            graph.op("CALL_ONCE", [], [], initSubgraphIndex=initial)
        x = graph.tensor("rows", [1, frames, 1, BANDS], scale, zero)
        graph.op("RESHAPE", [features, graph.constant(1, frames, 1, BANDS)], [x], newShape=[1, frames, 1, BANDS])
        rows, width = frames, BANDS
        for i, (layer, count) in enumerate(zip(stack, counts, strict=True)):
            if spotter and layer.span > layer.stride:
                x = self._remembered(x, f"layer {i}", rows, layer.span - layer.stride, width, scale, zero)
                rows += layer.span - layer.stride
            after, zero_after = quant.activation_scale(*map(float, self._ranges[i]))
            y = (float(after), int(zero_after))
            add = {Conv: self._conv, Point: self._conv, Mix: self._mix, Head: self._head}[type(layer)]
            x = add(i, layer, x, (rows, count, scale, zero), y)
            rows, width, (scale, zero) = count, layer.width, y
        probability = graph.tensor("probability", [1, 1], SCORE, ZERO)
        score = graph.tensor("score", [1, 1], SCORE, 0, kind="UINT8")
        graph.op("LOGISTIC", [x], [probability])
        graph.op("QUANTIZE", [probability], [score])
        if spotter:
            self._start(initial)
        return graph.build([features], [score])

    def _remembered(self, x: int, name: str, rows: int, kept: int, width: int, scale: float, zero: int) -> int:
        """x after the `kept` rows before it, which a variable holds until the next step."""
        graph, q = self._graph, (scale, zero)
        handle = graph.handle(name)
        before = graph.tensor(f"{name} before", [1, kept, 1, width], *q)
        graph.op("READ_VARIABLE", [handle], [before])
        both = graph.tensor(f"{name} all", [1, kept + rows, 1, width], *q)
        graph.op("CONCATENATION", [before, x], [both], axis=1)
        after = self._last(both, f"{name} after", kept + rows, kept, width, *q)
        graph.op("ASSIGN_VARIABLE", [handle, after], [])
        self._states.append((name, [1, kept, 1, width], scale, zero))
        return both

    def _last(self, x: int, name: str, rows: int, kept: int, width: int, scale: float, zero: int) -> int:
        graph = self._graph
        if rows == kept:
            return x
        y = graph.tensor(name, [1, kept, 1, width], scale, zero)
        bounds = graph.constant(0, rows - kept, 0, 0), graph.constant(1, rows, 1, width), graph.constant(1, 1, 1, 1)
        graph.op("STRIDED_SLICE", [x, *bounds], [y])
        return y

    def _start(self, initial: int) -> None:
        """The subgraph that runs once: nothing was heard yet."""
        self._graph.go_back(initial)
        for name, shape, scale, zero in self._states:
            value = self._graph.tensor(f"{name} at first", shape, scale, zero, np.full(shape, zero))
            self._graph.op("ASSIGN_VARIABLE", [self._graph.handle(name), value], [])

    def _conv(self, i: int, layer: Conv | Point, x: int, place: tuple, y: tuple[float, int]) -> int:
        _, count, scale, _ = place
        w = self._weights.arrays[f"{i}.w"].T.reshape(layer.filters, layer.span, 1, -1)
        inputs = [x, *self._constants(f"{i}", w, self._weights.arrays[f"{i}.b"], scale, 0)]
        out = self._graph.tensor(f"{i}", [1, count, 1, layer.filters], *y)
        relu, valid = 1, 1
        options = {"padding": valid, "strideH": layer.stride, "strideW": 1, "fusedActivationFunction": relu}
        self._graph.op("CONV_2D", inputs, [out], **options, dilationHFactor=1, dilationWFactor=1)
        return out

    def _mix(self, i: int, layer: Mix, x: int, place: tuple, y: tuple[float, int]) -> int:
        graph = self._graph
        rows, count, scale, zero = place
        parts = [x]
        if len(layer.kernels) > 1:
            shape = [graph.tensor(f"{i}.{j} in", [1, rows, 1, c], scale, zero) for j, c in enumerate(layer.groups)]
            graph.op("SPLIT_V", [x, graph.constant(*layer.groups), graph.axis(3)], shape, numSplits=len(shape))
            parts = shape
        done = []
        for j, (part, kernel, channels) in enumerate(zip(parts, layer.kernels, layer.groups, strict=True)):
            used = rows - (layer.span - kernel)
            recent = self._last(part, f"{i}.{j} recent", rows, used, channels, scale, zero)
            w = self._weights.arrays[f"{i}.w{j}"].reshape(1, kernel, 1, channels)
            constants = self._constants(f"{i}.{j}", w, np.zeros(channels, np.float32), scale, 3)
            out = graph.tensor(f"{i}.{j}", [1, count, 1, channels], *y)
            options = {"padding": 1, "strideH": layer.stride, "strideW": layer.stride, "depthMultiplier": 1}
            graph.op("DEPTHWISE_CONV_2D", [recent, *constants], [out], **options, dilationHFactor=1, dilationWFactor=1)
            done.append(out)
        if len(done) == 1:
            return done[0]
        out = graph.tensor(f"{i}", [1, count, 1, layer.channels], *y)
        graph.op("CONCATENATION", done, [out], axis=3)
        return out

    def _head(self, i: int, layer: Head, x: int, place: tuple, y: tuple[float, int]) -> int:
        graph = self._graph
        _, _, scale, zero = place
        n = layer.steps * layer.channels
        flat = graph.tensor("flat", [1, n], scale, zero)
        graph.op("RESHAPE", [x, graph.constant(1, n)], [flat], newShape=[1, n])
        constants = self._constants(
            f"{i}", self._weights.arrays[f"{i}.w"].reshape(1, n), self._weights.arrays[f"{i}.b"], scale, 0
        )
        out = graph.tensor("logit", [1, 1], *y)
        graph.op("FULLY_CONNECTED", [flat, *constants], [out])
        return out

    def _constants(self, name: str, w: np.ndarray, b: np.ndarray, scale: float, axis: int) -> tuple[int, int]:
        """Weights, int8 around 0 with a scale per index of `axis`, and biases."""
        scales = quant.weight_scale(np.moveaxis(w, axis, -1))
        along = scales.reshape([-1 if k == axis else 1 for k in range(w.ndim)])
        whole = np.clip(np.round(w / along), -127, 127)
        kernel = self._graph.tensor(f"{name} weights", w.shape, scales, data=whole, axis=axis)
        products = scales.astype(np.float64) * np.float32(scale)
        bias = np.clip(np.round(b / products), -(2**31), 2**31 - 1)
        return kernel, self._graph.tensor(f"{name} bias", [len(b)], products, data=bias, kind="INT32")
