import gc
import json
from array import array

from sourdine.frontend import Frontend

GOLDEN = "/".join(__file__.split("/")[:-2]) + "/golden/frontend.json"


def golden():
    with open(GOLDEN) as file:
        return json.load(file)["vectors"]


def blocks(runs):
    """Samples written as [value, how often], or [seed] for a block of noise, in blocks of 160."""
    samples = []
    for run in runs:
        if len(run) == 2:
            samples += [run[0]] * run[1]
        else:
            x = run[0]
            for _ in range(160):
                x = (x * 75 + 74) % 65537
                samples.append((x & 0xFFFF) - 32768)
    return [array("h", samples[i : i + 160]) for i in range(0, len(samples), 160)]


def hear(frontend, runs):
    """[raw, features] of each block that yields any."""
    return [[list(frontend.raw), list(f)] for f in map(frontend.feed, blocks(runs)) if f]


def test_features_equal_the_reference():
    for vector in golden():
        heard = hear(Frontend(), vector["sound"])
        assert [raw for raw, _ in heard] == vector["raw"], vector["name"]
        for raw, features in heard:
            assert features == [min(127, (x * 2550 + 3328) // 6656 - 128) for x in raw], vector["name"]


def test_first_features_come_with_the_third_block():
    frontend = Frontend()
    heard = [frontend.feed(block) is not None for block in blocks([[1000, 640]])]
    assert heard == [False, False, True, True]


def test_reset_forgets_everything():
    used, (first, *others) = Frontend(), golden()
    for vector in others:
        hear(used, vector["sound"])
        used.reset()
    assert [raw for raw, _ in hear(used, first["sound"])] == first["raw"]


def test_feed_does_not_keep_the_callers_buffer():
    frontend, fresh = Frontend(), Frontend()
    shared = array("h", bytes(320))
    for block in blocks(golden()[0]["sound"]):
        shared[:] = block
        assert (frontend.feed(shared) is None) == (fresh.feed(block) is None)
        assert list(frontend.raw) == list(fresh.raw)


def test_another_length_is_refused():
    for length in (0, 159, 161, 320):
        try:
            Frontend().feed(array("h", bytes(2 * length)))
        except ValueError:
            continue
        raise AssertionError("accepted", length)


def test_feed_allocates_nothing():
    try:
        from micropython import heap_lock, heap_unlock
    except ImportError:
        return  # CPython has no heap to lock
    frontend = Frontend()
    heard = blocks(golden()[0]["sound"])
    view = memoryview(array("h", bytes(320)))
    gc.collect()
    heap_lock()
    try:
        for block in heard:
            frontend.feed(block)
        frontend.feed(view)
        frontend.reset()
        frontend.feed(view)
    finally:
        heap_unlock()
