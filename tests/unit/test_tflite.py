"""Each operator equals tflite-micro's on random small nets; whatever we cannot run is refused with a reason."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nets import Net, changed, ours, theirs
from sourdine import layers, plan
from sourdine.tflite import Model, ModelError

SAME, VALID = 0, 1
seeds = st.integers(0, 2**32 - 1)


def random_layer(net, random, x, shape, m, axis, per_channel=True, fine=1.0):
    """Weights of this shape and biases for m outputs, with scales that spread the outputs over the range."""
    scales = np.exp(random.uniform(-7, -5, m if per_channel else 1)) * fine
    w = net.tensor(shape, scales, data=random.integers(-127, 128, shape), axis=axis)
    b = net.tensor([m], scales * 0.05, data=random.integers(-3000, 3000, m), kind="int32", name="bias")
    return [x, w, b]


def agree(net, inputs, outputs, *steps):
    data = net.build(inputs, outputs)
    for got, expected in zip(ours(data, *steps), theirs(data, *steps), strict=True):
        for a, b in zip(got, expected, strict=True):
            assert np.array_equal(a, b)


def codes(random, *shape):
    return random.integers(-128, 128, shape).astype(np.int8)


@settings(max_examples=120, deadline=None)
@given(
    seeds,
    st.tuples(st.integers(1, 7), st.integers(1, 5), st.integers(1, 9)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.integers(1, 3),
    st.sampled_from([SAME, VALID]),
    st.booleans(),
)
def test_convolutions_equal_the_reference(seed, size, kernel, strides, dilation, padding, deep):
    height, width, channels = size
    spans = (kernel[0] - 1) * dilation + 1, kernel[1]
    assume(spans[0] <= height and spans[1] <= width)
    if padding == SAME:  # what needs no padding, which is refused
        assume(all((-(-n // s) - 1) * s + span <= n for n, s, span in zip(size, strides, spans, strict=False)))
    rows, columns = ((n - span) // s + 1 for n, span, s in zip(size, spans, strides, strict=False))
    random = np.random.default_rng(seed)
    net, m = Net(), channels if deep else int(random.integers(1, 6))
    x = net.tensor([1, *size], 0.05, random.integers(-128, 128))
    y = net.tensor([1, rows, columns, m], 0.2, random.integers(-128, 128))
    options = {
        "padding": padding,
        "strideH": strides[0],
        "strideW": strides[1],
        "dilationHFactor": dilation,
        "dilationWFactor": 1,
        "fusedActivationFunction": int(random.integers(0, 4)),
    }
    if deep:
        layer = random_layer(net, random, x, [1, *kernel, m], m, 3)
        net.op("DEPTHWISE_CONV_2D", layer, [y], depthMultiplier=1, **options)
    else:
        layer = random_layer(net, random, x, [m, *kernel, channels], m, 0, per_channel=bool(random.integers(2)))
        net.op("CONV_2D", layer, [y], **options)
    agree(net, [x], [y], [codes(random, 1, *size)], [codes(random, 1, *size)])


@given(seeds, st.integers(1, 3), st.integers(1, 40), st.integers(1, 70), st.booleans())
def test_dense_layers_equal_the_reference(seed, rows, n, m, per_channel):
    random = np.random.default_rng(seed)
    net = Net()
    x, y = net.tensor([rows, n], 0.05, random.integers(-128, 128)), net.tensor([rows, m], 0.2, 5)
    net.op("FULLY_CONNECTED", random_layer(net, random, x, [m, n], m, 0, per_channel), [y])
    agree(net, [x], [y], [codes(random, rows, n)])


@given(seeds, st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data())
def test_slices_equal_the_reference(seed, shape, data):
    begin, end, strides, result = [], [], [], []
    for n in shape:
        stride = data.draw(st.integers(1, 3))
        first = data.draw(st.integers(0, n - 1))
        last = data.draw(st.integers(first + 1, n))
        begin.append(first - n if data.draw(st.booleans()) else first)
        end.append(last - n if data.draw(st.booleans()) and last < n else last)
        strides.append(stride)
        result.append(-((first - last) // stride))
    net = Net()
    x, y = net.tensor(shape), net.tensor(result)
    net.op("STRIDED_SLICE", [x, net.constant(*begin), net.constant(*end), net.constant(*strides)], [y])
    agree(net, [x], [y], [codes(np.random.default_rng(seed), *shape)])


def test_slice_masks_mean_from_the_start_and_to_the_end():
    net = Net()
    x, y = net.tensor([1, 5, 1, 8]), net.tensor([1, 3, 1, 8])
    bounds = net.constant(9, -3, 9, 9), net.constant(0, 0, 0, 4), net.constant(1, 1, 1, 1)
    net.op("STRIDED_SLICE", [x, *bounds], [y], beginMask=13, endMask=15)
    agree(net, [x], [y], [codes(np.random.default_rng(0), 1, 5, 1, 8)])


@given(seeds, st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_joining_and_splitting_equal_the_reference(seed, shape, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    shapes = [[*shape[:axis], n, *shape[axis + 1 :]] for n in sizes]
    whole = [*shape[:axis], sum(sizes), *shape[axis + 1 :]]
    random = np.random.default_rng(seed)
    net = Net()
    parts, y = [net.tensor(s) for s in shapes], net.tensor(whole)
    net.op("CONCATENATION", parts, [y], axis=axis - data.draw(st.sampled_from([0, len(shape)])))
    agree(net, parts, [y], [codes(random, *s) for s in shapes])
    net = Net()
    x, parts = net.tensor(whole), [net.tensor(s) for s in shapes]
    net.op("SPLIT_V", [x, net.constant(*sizes), net.constant(axis)], parts, numSplits=len(sizes))
    agree(net, [x], parts, [codes(random, *whole)])
    if len(set(sizes)) == 1:
        net = Net()
        x, parts = net.tensor(whole), [net.tensor(s) for s in shapes]
        net.op("SPLIT", [net.constant(axis), x], parts, numSplits=len(sizes))
        agree(net, [x], parts, [codes(random, *whole)])


@pytest.mark.parametrize("limit", [2_000, 5_000, plan.SLICE])
@pytest.mark.parametrize(
    ("name", "size", "kernel", "m"),
    [
        ("CONV_2D", (6, 1, 8), (2, 1), 54),  # blocks and a rest
        ("CONV_2D", (9, 1, 9), (3, 1), 5),
        ("CONV_2D", (1, 1, 40), (1, 1), 60),
        ("DEPTHWISE_CONV_2D", (9, 1, 70), (4, 1), 70),
        ("DEPTHWISE_CONV_2D", (5, 1, 30), (5, 1), 30),
    ],
)
def test_layers_in_slices_equal_the_reference(monkeypatch, limit, name, size, kernel, m):
    """However small a call has to be: first the windows are shared out, then the outputs of each."""
    for module in (plan, layers):
        monkeypatch.setattr(module, "SLICE", limit)
    deep, random, net = name != "CONV_2D", np.random.default_rng(m), Net()
    x, y = net.tensor([1, *size], 0.05, 7), net.tensor([1, size[0] - kernel[0] + 1, 1, m], 0.3, -20)
    shape = [1, *kernel, m] if deep else [m, *kernel, size[2]]
    plain = {"strideH": 1, "strideW": 1, "padding": VALID, "dilationHFactor": 1, "dilationWFactor": 1}
    layer = random_layer(net, random, x, shape, m, 3 if deep else 0)
    net.op(name, layer, [y], **plain, **({"depthMultiplier": 1} if deep else {}))
    agree(net, [x], [y], [codes(random, 1, *size)], [codes(random, 1, *size)])


# Whole models --------------------------------------------------------------------------------------------


def small_model(random, explicit=False, initial=None, stride=2):
    """Features → a ring of four steps, in a variable or explicit → dense → sigmoid → uint8; the bytes."""
    net = Net()
    size, scale = 40 * stride, 26 / 255
    x = net.tensor([1, stride, 40], scale, -128, name="features")
    new, old = net.tensor([1, 1, size], scale, -128, name="new"), net.tensor([1, 3, size], scale, -128)
    ring, kept = net.tensor([1, 4, size], scale, -128, name="ring"), net.tensor([1, 3, size], scale, -128, name="kept")
    if initial is not None:
        net.op("CALL_ONCE", [], [], initSubgraphIndex=1)
    net.op("RESHAPE", [x, net.constant(1, 1, size)], [new])
    if not explicit:
        handle = net.handle("ring")
        net.op("READ_VARIABLE", [handle], [old])
    net.op("CONCATENATION", [old, new], [ring], axis=1)
    bounds = net.constant(0, 1, 0), net.constant(1, 4, size), net.constant(1, 1, 1)
    net.op("STRIDED_SLICE", [ring, *bounds], [kept])
    if not explicit:
        net.op("ASSIGN_VARIABLE", [handle, kept], [])
    flat, logit = net.tensor([1, 4 * size], scale, -128), net.tensor([1, 1], 0.08, 9, name="logit")
    net.op("RESHAPE", [ring, net.constant(1, 4 * size)], [flat])
    net.op("FULLY_CONNECTED", random_layer(net, random, flat, [1, 4 * size], 1, 0, fine=1 / 40), [logit])
    sigmoid, y = net.tensor([1, 1], 1 / 256, -128), net.tensor([1, 1], 1 / 256, 0, kind="uint8", name="score")
    net.op("LOGISTIC", [logit], [sigmoid])
    net.op("QUANTIZE", [sigmoid], [y])
    if initial is not None:
        net.graph()
        value = net.tensor([1, 3, size], scale, -128, data=initial)
        net.op("ASSIGN_VARIABLE", [net.handle("ring"), value], [])
    return net.build([x, old], [y, kept]) if explicit else net.build([x], [y])


def steps(random, n=9, stride=2):
    return [codes(random, 1, stride, 40) for _ in range(n)]


def ring(values):
    return np.resize(np.asarray(values, np.int8), (1, 3, 80))


@pytest.mark.parametrize("initial", [None, ring([-128]), ring([77]), ring(range(-100, 100))])
@pytest.mark.parametrize("seed", range(3))
def test_variables_carry_state_from_step_to_step(seed, initial):
    random = np.random.default_rng(seed)
    data = small_model(random, initial=initial)
    inputs = steps(random)
    expected = [int(out[0][0, 0]) for out in theirs(data, *[[x] for x in inputs])]
    model = Model(data)
    assert [model.step(x.reshape(-1)) for x in inputs] == expected
    assert len(set(expected)) > 3
    model.reset()
    assert [model.step(x.reshape(-1)) for x in inputs] == expected


def test_explicit_states_carry_over_like_variables():
    seed = 11
    data = small_model(np.random.default_rng(seed), explicit=True)
    inputs = steps(np.random.default_rng(seed))
    state, expected = np.full((1, 3, 80), -128, np.int8), []
    for x in inputs:
        [[score, state]] = theirs(data, [x, state])
        expected.append(int(score[0, 0]))
    model = Model(data)
    assert [model.step(x.reshape(-1)) for x in inputs] == expected
    twin = Model(small_model(np.random.default_rng(seed)))
    assert [twin.step(x.reshape(-1)) for x in inputs] == expected


def test_feeding_single_features_equals_steps():
    random = np.random.default_rng(3)
    data = small_model(random)
    whole, single = Model(data), Model(data)
    for x in steps(random):
        assert single.feed(x[0, 0]) == -1
        assert single.feed(x[0, 1]) == whole.step(x.reshape(-1))
    single.feed(x[0, 0])
    single.reset()
    assert single.feed(x[0, 0]) == -1


def test_model_reads_from_a_file_as_from_memory(tmp_path):
    random = np.random.default_rng(4)
    data = small_model(random)
    (tmp_path / "m.tflite").write_bytes(data)
    with (tmp_path / "m.tflite").open("rb") as file:
        model = Model(file)
    other = Model(memoryview(data))
    for x in steps(random):
        assert model.step(x.reshape(-1)) == other.step(x.reshape(-1))
    assert (model.stride, model.states, model.macs) == (2, 1, 320)
    assert model.weights < len(data)


def test_features_of_another_size_are_refused():
    model = Model(small_model(np.random.default_rng(0)))
    for call, size in ((model.step, 79), (model.step, 40), (model.feed, 80), (model.feed, 0)):
        with pytest.raises(ValueError, match="another size"):
            call(bytes(size))


# Refusals ------------------------------------------------------------------------------------------------


def head(net, x):
    """The rest of a model from one number on: an uint8 score."""
    y = net.tensor([1, 1], 1 / 256, 0, kind="uint8")
    net.op("QUANTIZE", [x], [y])
    return y


def with_tensor(name, **values):
    """Change of one tensor; `scale` and `zero` are its quantisation's, `data` its int32 content."""

    def change(find):
        tensor = find(name)
        for key, value in values.items():
            if key == "scale":
                tensor.quantization.scale = np.array([value], np.float32)
            elif key == "zero":
                tensor.quantization.zeroPoint = np.array([value], np.int64)
            elif key == "data":
                find(None).buffers[tensor.buffer].data = np.frombuffer(np.int32(value).tobytes(), np.uint8)
            else:
                setattr(tensor, key, value)

    return lambda good: changed(good, change)


def with_model(**values):
    def change(find):
        for key, value in values.items():
            setattr(find(None), key, value)

    return lambda good: changed(good, change)


def unknown_operator(good):
    net = Net()
    x, y = net.tensor([1, 1, 40], 26 / 255, -128), net.tensor([1, 1], 1 / 256, -128)
    net.op("SOFTMAX", [x], [y])
    return net.build([x], [y])


REFUSED = {
    "this is not a .tflite file": lambda good: b"PK\3\4" + good,
    "truncated": lambda good: good[: len(good) // 2],
    "at most 524288": lambda good: good + bytes(1 << 19),
    "a .tflite of version 4": with_model(version=4),
    "entry 0 of 0": with_model(subgraphs=[]),
    "operator type 25 is not supported": unknown_operator,
    "features are not of scale 26/255": with_tensor("features", scale=0.1),
    "and zero point -128": with_tensor("features", zero=-127),
    "no input is int8": with_tensor("features", shape=[1, 2, 39]),
    "no output is a single number": with_tensor("score", shape=[1, 2]),
    "only int8 tensors": with_tensor("logit", type=0),
    "shape is not positive": with_tensor("ring", shape=[1, -4, 80]),
    "do not hold the same data": with_tensor("new", shape=[1, 1, 81]),
    "shapes do not fit together": with_tensor("ring", shape=[1, 5, 80]),
    "a scale is not a sensible": with_tensor("logit", scale=float("nan")),
    "zero point is out of range": with_tensor("logit", zero=1 << 40),
    "its scales differ": with_tensor("ring", scale=0.11),
    "changes its size or scale": with_tensor("kept", scale=0.11),
    r"FULLY_CONNECTED \(operator 7\): its scales or biases are out of range": with_tensor("bias", data=2**31 - 1),
    "a constant has another size": with_tensor("bias", data=[1, 2]),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_run_is_refused_with_its_reason(reason):
    good = small_model(np.random.default_rng(0))
    Model(good)
    with pytest.raises(ModelError, match=reason):
        Model(REFUSED[reason](good))


def test_padding_that_would_matter_is_refused():
    net = Net()
    x, wide = net.tensor([1, 1, 40], 26 / 255, -128), net.tensor([1, 1, 40, 1], 26 / 255, -128)
    net.op("RESHAPE", [x], [wide])
    y = net.tensor([1, 1, 40, 1])
    layer = random_layer(net, np.random.default_rng(0), wide, [1, 1, 3, 1], 1, 0)
    net.op("CONV_2D", layer, [y], padding=SAME, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
    with pytest.raises(ModelError, match=r"CONV_2D \(operator 1\): padding is not supported"):
        Model(net.build([x], [head(net, y)]))


def one(name, shapes, result, parameters=(), **options):
    """One operator on inputs of these shapes, and int32 parameters after them."""
    net = Net()
    inputs, y = [net.tensor(shape) for shape in shapes], net.tensor(result)
    net.op(name, [*inputs, *(net.constant(*values) for values in parameters)], [y], **options)
    return net, inputs, [y]


def long_row(n):
    net = Net()
    x, y = net.tensor([1, n]), net.tensor([1, 1])
    net.op("FULLY_CONNECTED", [x, net.tensor([1, n], 0.01, data=np.ones(n))], [y])
    return net, [x], [y]


def many_windows(n):
    net = Net()
    x, y = net.tensor([1, n, 1, 1]), net.tensor([1, n, 1, 1])
    plain = {"strideH": 1, "strideW": 1, "padding": VALID, "dilationHFactor": 1, "dilationWFactor": 1}
    net.op("CONV_2D", [x, net.tensor([1, 1, 1, 1], 0.01, data=np.ones(1))], [y], **plain)
    return net, [x], [y]


def written_twice():
    net, inputs, outputs = one("RESHAPE", [[4]], [4])
    net.op("RESHAPE", inputs, outputs)
    return net, inputs, outputs


def read_before_written():
    net, _, outputs = one("RESHAPE", [[4]], [4])
    return net, [], outputs


ODD = {
    "more than 16384 products": lambda: long_row(16_385),
    "more than 256 windows": lambda: many_windows(257),
    "a tensor is written twice": written_twice,
    "used before anything is in it": read_before_written,
    "leaves the input": lambda: one("STRIDED_SLICE", [[5]], [1], [[5], [6], [1]], shrinkAxisMask=1),
    "a stride of -1": lambda: one("STRIDED_SLICE", [[5]], [5], [[4], [-6], [-1]]),
    "its masks": lambda: one("STRIDED_SLICE", [[5]], [5], [[0], [5], [1]], newAxisMask=1),
    "another size": lambda: one("STRIDED_SLICE", [[5]], [3], [[0], [5], [1]]),
    "shapes do not fit": lambda: one("CONCATENATION", [[6, 1], [1, 6]], [2, 6], axis=0),
    "no axis 2": lambda: one("CONCATENATION", [[1, 6], [1, 6]], [2, 6], axis=2),
    "cannot be spread": lambda: one("ADD", [[2, 3], [2, 1]], [2, 3]),
    "activation 4": lambda: one("ADD", [[2, 3], [2, 3]], [2, 3], fusedActivationFunction=4),
    "zero point is not -128": lambda: one("LOGISTIC", [[1, 1]], [1, 1]),
    "first input is not a variable": lambda: one("READ_VARIABLE", [[4]], [4]),
    "too few inputs": lambda: one("CONV_2D", [[1, 1, 1, 1]], [1, 1, 1, 1]),
    "not int8 constants": lambda: one("FULLY_CONNECTED", [[1, 4], [1, 4]], [1, 1]),
}


@pytest.mark.parametrize("reason", ODD)
def test_operators_that_do_not_fit_are_refused_with_the_reason(reason):
    net, inputs, outputs = ODD[reason]()
    data = net.build(inputs, outputs)
    with pytest.raises(ModelError, match=reason):
        ours(data)


def test_strides_that_are_never_taken_may_be_any_number():
    """With one window and one row of weights, steps of 2**31 - 1 mean nothing; they must not reach a table."""
    net = Net()
    x, y = net.tensor([1, 1, 1, 40]), net.tensor([1, 1, 1, 1])
    huge = dict.fromkeys(("strideH", "strideW", "dilationHFactor", "dilationWFactor"), 2**31 - 1)
    net.op("CONV_2D", [x, net.tensor([1, 1, 1, 40], 0.01, data=np.ones(40))], [y], padding=VALID, **huge)
    [[got]] = ours(net.build([x], [y]), [np.zeros((1, 1, 1, 40), np.int8)])
    assert got.shape == (1, 1, 1, 1)


def test_largest_layers_are_not_refused():
    for net, inputs, outputs in (long_row(16_384), many_windows(256)):
        ours(net.build(inputs, outputs))


def test_state_that_passes_straight_through_is_refused():
    data = changed(small_model(np.random.default_rng(0), explicit=True), lambda find: pass_through(find(None)))
    with pytest.raises(ModelError, match="an input is an output, too"):
        Model(data)


def pass_through(model):
    graph = model.subgraphs[0]
    graph.outputs = [graph.outputs[0], graph.inputs[1]]


def test_too_many_multiplications_are_refused_before_memory_is_taken(monkeypatch):
    monkeypatch.setattr(plan, "MACS_MAX", 319)
    with pytest.raises(ModelError, match="more than 319 multiplications"):
        Model(small_model(np.random.default_rng(0)))


def test_too_large_an_arena_is_refused(monkeypatch):
    monkeypatch.setattr(plan, "ARENA_MAX", 800)
    with pytest.raises(ModelError, match="it needs an arena of"):
        Model(small_model(np.random.default_rng(0)))


def test_blocks_alive_together_never_overlap():
    """The layout on random lives, checked pair by pair."""
    random = np.random.default_rng(0)
    for _ in range(50):
        layout = plan.Plan()
        for now in range(12):
            layout.now = now
            for _ in range(int(random.integers(0, 3))):
                layout.block(int(random.integers(1, 60)), keep=random.random() < 0.2)
            for block in layout._blocks:
                if block.first is not None and random.random() < 0.2:
                    layout.use(block)
        layout.finish()
        for a in layout._blocks:
            for b in layout._blocks:
                lives = a.first is None or b.first is None or (a.first <= b.last and b.first <= a.last)
                apart = a.place + a.size <= b.place or b.place + b.size <= a.place
                assert a is b or apart or not lives


# Hostile files -------------------------------------------------------------------------------------------

GOOD = small_model(np.random.default_rng(7), initial=ring(range(60)))


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_damaged_files_are_refused_or_run_within_bounds(data):
    """The checker behind every kernel raises on any access outside arena, weights or table."""
    damaged = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.one_of(st.integers(0, 255), st.sampled_from([0, 1, 127, 128, 255])))
    if data.draw(st.booleans()):
        del damaged[data.draw(st.integers(0, len(damaged))) :]
    try:
        model = Model(bytes(damaged))
    except ModelError as error:
        assert str(error)
        return
    for _ in range(2):
        assert 0 <= model.step(bytes(40 * model.stride)) <= 255
    model.reset()


def test_every_truncation_is_refused_or_harmless():
    for size in range(0, len(GOOD), 7):
        try:
            Model(GOOD[:size])
        except ModelError:
            continue
        raise AssertionError(size)
