"""A model of anybody's is judged only if the firmware would run it; what is wrong with it is one line."""

import json
import shutil

import pytest

import ears
from sourdine_board.mistake import Mistake
from sourdine_training.evaluate import pairs, peers
from sourdine_training.export import run

SECOND = {"model": "alexa.verify.tflite", "features": 150, "spotter_cutoff": 0.5, "cutoff": 0.5}


@pytest.fixture
def alexa(tmp_path):
    for name in ("alexa.json", "alexa.tflite"):
        shutil.copy(ears.models() / name, tmp_path / name)
    return tmp_path / "alexa.json"


@pytest.fixture
def unheard(monkeypatch):
    """tflite-micro never sees the file."""
    monkeypatch.setattr(run, "Reference", None)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "not of version 1"),
        ({"version": 1, "verify": []}, "says nothing"),
        ({"version": 1, "verify": {}}, "model"),
        ({"version": 1, "verify": SECOND | {"model": "../../alexa.tflite"}}, "not the name of a .tflite beside it"),
        ({"version": 1, "verify": SECOND | {"cutoff": "1"}}, "cutoff is 1, not a number"),
        ({"version": 1, "verify": SECOND | {"features": 151}}, "features is 151"),
        ({"version": 1, "verify": SECOND}, "is not beside it: copy it there"),
    ],
)
def test_what_is_wrong_with_the_file_beside_a_manifest_is_said(alexa, unheard, more, said):
    alexa.with_name("alexa.sourdine.json").write_text(json.dumps(more))
    with pytest.raises(Mistake, match=said) as mistake:
        pairs.read(alexa)
    assert "alexa.sourdine.json" in str(mistake.value)


@pytest.mark.parametrize("model", ["../alexa.tflite", "/etc/alexa.tflite", "alexa.txt", 7])
def test_a_manifest_names_no_file_elsewhere(alexa, unheard, model):
    alexa.write_text(json.dumps(json.loads(alexa.read_text()) | {"model": model}))
    with pytest.raises(Mistake, match="not the name of a .tflite beside it"):
        pairs.read(alexa)


def test_a_strangers_model_is_checked_by_the_firmware_before_tflite_micro_sees_it(alexa, unheard):
    data = bytearray(alexa.with_suffix(".tflite").read_bytes())
    data[len(data) // 2 :] = b"\xff" * (len(data) - len(data) // 2)
    alexa.with_suffix(".tflite").write_bytes(data)
    with pytest.raises(Mistake, match="alexa.tflite: the firmware refuses this model"):
        pairs.read(alexa)


def test_so_is_its_second_stage(alexa, unheard):
    alexa.with_name("alexa.sourdine.json").write_text(json.dumps({"version": 1, "verify": SECOND}))
    shutil.copy(alexa.with_suffix(".tflite"), alexa.with_name("alexa.verify.tflite"))  # which keeps states
    with pytest.raises(Mistake, match="alexa.verify.tflite: the firmware refuses this model"):
        pairs.read(alexa)


def test_a_peers_own_model_may_be_made_for_another_runtime(monkeypatch):
    monkeypatch.setattr(run, "on_board", lambda *_: (_ for _ in ()).throw(Mistake("never asked")))
    assert peers.microwakeword("alexa").name == "microWakeWord"
