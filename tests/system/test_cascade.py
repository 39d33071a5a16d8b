"""Both stages on the twin, with real speech and real TLS: nothing opens before the second has said yes."""

import json

import numpy as np
import pytest

from nets import second_stage
from sourdine import spec
from way import RATE, say, way

WAKE_AT, TALK_AT, OVER_AT = 6.0, 7.1, 11.0
ASKED = '"sourdine.verifier.Verifier.begin" = "slices"\n'  # in way's [probes]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with way(tmp_path_factory.mktemp("way")) as made:
        second = {"model": "alexa.verify.tflite", "features": 150, "spotter_cutoff": 0.5, "cutoff": 0.5}
        made.put("models/alexa.sourdine.json", json.dumps({"version": 1, "verify": second}))
        yield made


def evening(house, says):
    """A wake word and a question, before a second stage that always says so. (when it was asked, when it woke), room's µs."""
    house.put("models/alexa.verify.tflite", second_stage(np.random.default_rng(1), says=says))
    house.play(OVER_AT, [(WAKE_AT, say("Alexa.")), (TALK_AT, say("What time is it?"))], more=ASKED)
    probes = [e for e in house.board.trace if e["kind"] == "probe"]
    asked = [(e["us"], e["value"]) for e in probes if e["name"].endswith("begin")]
    return asked, [e["us"] for e in probes if e["name"].endswith("hear") and e["result"]]


def test_a_second_stage_that_says_no_keeps_the_gate_shut(house):
    asked, woken = evening(house, says=0)
    assert [us for us, _ in asked if WAKE_AT * 1e6 < us < TALK_AT * 1e6], "the spotter heard the word, and asked"
    assert woken == []
    assert house.hub.said("wake") == house.hub.said("audio") == []


def test_a_second_stage_that_says_yes_opens_it_later_and_for_what_is_said_then(house):
    asked, woken = evening(house, says=255)
    [(us, slices)], [decided] = asked, woken
    assert WAKE_AT * 1e6 < us < TALK_AT * 1e6
    assert decided - us == pytest.approx(slices * 10_000, abs=5_000)
    assert house.reasons() == [spec.SILENCE]
    at = house.arrived()
    assert at[at >= 0].min() >= decided * RATE // 1_000_000
    assert len(at) > RATE


def test_a_board_whose_second_stage_is_gone_does_not_listen(house):
    house.put("models/alexa.verify.tflite", b"")
    house.prepare(3.0, [])
    house.board.wait("end", timeout=60)
    assert "alexa.verify.tflite: this is not a .tflite file" in house.board.console.decode(errors="replace")
    assert not [e for e in house.board.trace if e["kind"] == "contact" and e["closed"]], "the microphone stays cut"
