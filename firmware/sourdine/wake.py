"""The wake word: a model's probabilities → the decision, as ESPHome's micro_wake_word takes it.

    models/alexa.json    microWakeWord's manifest, version 2
    models/alexa.tflite  the model it names

State: the last `sliding_window_size` probabilities; how many quiet features must still pass (`rest`); whether
the newest probability was judged yet. Per feature:

    a new probability    replaces the oldest one
    rest > 0             counts down if the newest probability is below the cutoff; nothing is decided
    rest = 0, unjudged   wake if the window's sum > cutoff * sliding_window_size; then everything is forgotten
                         and rest starts again, so one utterance wakes once

Probabilities and the cutoff are integers 0..255. Source: ESPHome's components/micro_wake_word/
streaming_model.cpp and __init__.py (the rules; the code is ours).
"""

import json

from sourdine.tflite import Model, ModelError

REST = 100  # features, 1 s: after a start or a wake, nothing is decided until so many were below the cutoff
STEP_MS = 10  # between features; the frontend knows no other
MANIFEST_MAX = 4_096  # bytes
WINDOW_MAX = 100  # probabilities


class Wake:
    """One wake word.

    manifest  the JSON as a dict; ModelError if it is not a microWakeWord manifest that can run here
    model     tflite.Model, or whatever has feed() and reset() like it
    verify    room for a second stage: asked, without arguments, before a wake is believed; a false answer means
              not yet, and it is asked again with the next probability
    """

    def __init__(self, manifest, model, verify=None):
        cutoff, size = _check(manifest)
        self.word = manifest["wake_word"]
        self.score = 0  # 0..255, mean of the window when it was last judged or filled
        self._model = model
        self._verify = verify
        self._cutoff = int(cutoff * 255)
        self._window = bytearray(size)
        self._forget()

    @classmethod
    def load(cls, path):
        """From a manifest's path; the model lies beside it."""
        manifest = _read(path)
        _check(manifest)
        beside = path.rpartition("/")
        try:
            with open(beside[0] + beside[1] + manifest["model"], "rb") as file:
                model = Model(file)
        except OSError:
            raise ModelError(f"{path}: there is no {manifest['model']} beside it")
        except ModelError as error:
            raise ModelError(f"{manifest['model']}: {error}")
        return cls(manifest, model)

    def hear(self, features):
        """One more feature (int8[40], every 10 ms); True exactly when this is the wake. Allocates nothing."""
        probability = self._model.feed(features)
        size = len(self._window)
        if probability >= 0:
            self._sum += probability - self._window[self._next]
            self._window[self._next] = self._newest = probability
            self._next = (self._next + 1) % size
            self._unjudged = True
            self.score = self._sum // size
        if self._rest and self._newest < self._cutoff:
            self._rest -= 1
        if self._rest or not self._unjudged:
            return False
        self._unjudged = False
        if self._sum <= self._cutoff * size or (self._verify and not self._verify()):
            return False
        self._forget()
        return True

    def reset(self):
        """Forget everything heard: after mute, after a loss of samples."""
        self._model.reset()
        self.score = 0
        self._forget()

    def _forget(self):
        for i in range(len(self._window)):
            self._window[i] = 0
        self._sum = self._next = self._newest = 0
        self._unjudged = False
        self._rest = REST


def _read(path):
    try:
        with open(path) as file:
            text = file.read(MANIFEST_MAX + 1)
        if len(text) > MANIFEST_MAX:
            raise ModelError(f"{path}: too long for a manifest")
        return json.loads(text)
    except OSError:
        raise ModelError(f"{path}: no such file")
    except ModelError:
        raise
    except (ValueError, RuntimeError):  # the latter for brackets nested too deep
        raise ModelError(f"{path}: not JSON")


def _check(manifest):
    """(probability_cutoff, sliding_window_size) of a manifest that is all right."""
    if not isinstance(manifest, dict) or manifest.get("type") != "micro":
        raise ModelError('the manifest is not of type "micro"')
    if manifest.get("version") != 2:
        raise ModelError(f"a manifest of version {manifest.get('version')}; only 2 is supported")
    micro = manifest.get("micro")
    if not isinstance(micro, dict):
        raise ModelError('the manifest has no "micro"')
    word, name = manifest.get("wake_word"), manifest.get("model")
    if not isinstance(word, str) or not 0 < len(word) <= 64:
        raise ModelError('the manifest\'s "wake_word" is not a text of 1..64 characters')
    if not isinstance(name, str) or not name.endswith(".tflite") or "/" in name:
        raise ModelError('the manifest\'s "model" is not the name of a .tflite beside it')
    if micro.get("feature_step_size") != STEP_MS:
        raise ModelError(f"feature_step_size is {micro.get('feature_step_size')}; only {STEP_MS} (ms) is supported")
    _number(micro, "tensor_arena_size", 1, 1 << 24, (int,))
    return (
        _number(micro, "probability_cutoff", 0, 1, (int, float)),
        _number(micro, "sliding_window_size", 1, WINDOW_MAX, (int,)),
    )


def _number(micro, key, low, high, types):
    value = micro.get(key)
    if not isinstance(value, types) or isinstance(value, bool) or not low <= value <= high:
        raise ModelError(f"the manifest's {key} is {value}, not a number in {low}..{high}")
    return value
