import binascii
import gc
import json
from array import array

from sourdine.tflite import Model, ModelError

GOLDEN = "/".join(__file__.split("/")[:-2]) + "/golden/net.json"


def golden():
    with open(GOLDEN) as file:
        vector = json.load(file)
    return binascii.a2b_base64(vector["model"]), vector["scores"]


def noise(seed):
    out = array("b", bytes(120))
    for i in range(120):
        seed = (seed * 75 + 74) % 65537
        out[i] = (seed >> 4 & 0xFF) - 128
    return out


def test_a_net_of_every_operator_gives_the_references_scores():
    data, scores = golden()
    model = Model(data)
    assert [model.step(noise(i)) for i in range(len(scores))] == scores
    model.reset()
    assert [model.step(noise(i)) for i in range(len(scores))] == scores


def test_single_features_give_the_same_scores():
    data, scores = golden()
    model = Model(data)
    for i, score in enumerate(scores):
        features = memoryview(noise(i))
        assert model.feed(features[:40]) == -1
        assert model.feed(features[40:80]) == -1
        assert model.feed(features[80:]) == score


def test_a_step_allocates_nothing():
    model = Model(golden()[0])
    features = noise(0)
    row = memoryview(features)[:40]
    model.step(features)
    try:
        from micropython import heap_lock, heap_unlock
    except ImportError:
        return  # CPython has no such lock
    gc.collect()
    before = gc.mem_alloc()
    heap_lock()
    try:
        model.step(features)
        model.feed(row)
        model.feed(row)
        model.feed(row)
        model.reset()
    finally:
        heap_unlock()
    assert gc.mem_alloc() == before


def test_damage_is_refused_or_harmless():
    """Flip one bit after another: on the chip a stray write would go unseen, so a few hundred flips must not crash."""
    data = bytearray(golden()[0])
    features = noise(1)
    refused = 0
    for i in range(300):
        at = i * 7919 % len(data)
        data[at] ^= 1 << i % 8
        try:
            Model(data).step(features)
        except ModelError:
            refused += 1
        data[at] ^= 1 << i % 8
    assert refused > 20
