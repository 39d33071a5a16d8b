import binascii
import gc
import json
from array import array

from sourdine.tflite import Model, ModelError
from sourdine.verifier import Verifier

GOLDEN = "/".join(__file__.split("/")[:-2]) + "/golden/"


def golden():
    with open(GOLDEN + "verifier.json") as file:
        vector = json.load(file)
    return binascii.a2b_base64(vector["model"]), vector["asked"], vector["answers"]


class Noise:
    """Features, one after another."""

    def __init__(self):
        self._seed = 1
        self.row = array("b", bytes(40))

    def next(self):
        for i in range(40):
            self._seed = (self._seed * 75 + 74) % 65537
            self.row[i] = (self._seed >> 4 & 0xFF) - 128
        return self.row


def answer(verifier):
    verifier.begin()
    got, turns = verifier.advance(), 1
    while got < 0:
        got, turns = verifier.advance(), turns + 1
    assert turns == verifier.slices
    return got


def test_answers_about_the_last_features_are_the_references():
    """A ring that is not full, full, and gone round: what was never heard is the zero point."""
    data, asked, expected = golden()
    verifier, noise = Verifier(data), Noise()
    answers = []
    for n in range(asked[-1] + 1):
        if n in asked:
            answers.append(answer(verifier))
        verifier.remember(noise.next())
    assert answers == expected


def test_reset_forgets_what_was_heard_and_what_was_asked():
    data, _, expected = golden()
    verifier, noise = Verifier(data), Noise()
    for _ in range(200):
        verifier.remember(noise.next())
    verifier.begin()
    verifier.advance(0)
    verifier.reset()
    try:
        verifier.advance()
        assert False, "it answers what nobody asks any more"
    except ValueError:
        pass
    assert answer(verifier) == expected[0]


def test_what_is_heard_meanwhile_waits_for_the_next_question():
    data, asked, expected = golden()
    verifier, noise = Verifier(data), Noise()
    for _ in range(asked[2]):
        verifier.remember(noise.next())
    verifier.begin()
    got = -1
    while got < 0:
        verifier.remember(noise.next())
        got = verifier.advance(1_000)
    assert got == expected[2]


def test_remembering_and_answering_allocate_nothing():
    verifier, noise = Verifier(golden()[0]), Noise()
    answer(verifier)
    try:
        from micropython import heap_lock, heap_unlock
    except ImportError:
        return  # CPython has no such lock
    gc.collect()
    before = gc.mem_alloc()
    heap_lock()
    try:
        for _ in range(3):
            verifier.remember(noise.row)
            verifier.begin()
            while verifier.advance(1_000) < 0:
                verifier.remember(noise.row)
        verifier.reset()
    finally:
        heap_unlock()
    assert gc.mem_alloc() == before


def test_a_spotter_is_no_second_stage_nor_a_second_stage_a_spotter():
    with open(GOLDEN + "net.json") as file:
        spotter = binascii.a2b_base64(json.load(file)["model"])
    for kind, data, reason in ((Verifier, spotter, "keeps no state"), (Model, golden()[0], "no input is int8")):
        try:
            kind(data)
            assert False, reason
        except ModelError as error:
            assert reason in str(error), error
