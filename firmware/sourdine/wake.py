"""The wake word: a model's probabilities → the decision, as ESPHome's micro_wake_word takes it, and a second opinion.

    models/alexa.json           microWakeWord's manifest, version 2
    models/alexa.tflite         the model it names, the spotter
    models/alexa.sourdine.json  optional: what ESPHome refuses in a manifest, among it the second stage …
    models/alexa.verify.tflite  … which that names

State: the last `sliding_window_size` probabilities; how many quiet features must still pass (`rest`); whether
the newest probability was judged yet. Per feature:

    a new probability    replaces the oldest one
    rest > 0             counts down if the newest probability is below the cutoff; nothing is decided
    rest = 0, unjudged   the spotter fires if the window's sum > cutoff * sliding_window_size
    it fires             wake; or, with a second stage, that is asked about the last features: then wake if it answers
                         with its cutoff or more, some features later
    wake                 everything is forgotten and rest starts again, so one utterance wakes once

While the second stage thinks, the spotter goes on, and what it says then asks nobody. After a no, it is asked again when
the spotter fires anew, AGAIN features after the last question at the soonest. Its cutoff alone never wakes anybody.

Probabilities and cutoffs are integers 0..255. Source: ESPHome's components/micro_wake_word/streaming_model.cpp
and __init__.py (the rules of the spotter; the code is ours).
"""

import json

from sourdine.tflite import Model, ModelError
from sourdine.verifier import Verifier

REST = 100  # features, 1 s: after a start or a wake, nothing is decided until so many were below the cutoff
AGAIN = 9  # features, 90 ms, between two questions to the second stage: so that it rests between them
STEP_MS = 10  # between features; the frontend knows no other
MANIFEST_MAX = 4_096  # bytes
WINDOW_MAX = 100  # probabilities
PLAIN = {"version": 1}  # a NAME.sourdine.json that adds nothing
ENOENT = 2


class Wake:
    """One wake word.

    manifest  the JSON as a dict; ModelError if it is not a microWakeWord manifest that can run here
    model     tflite.Model, or whatever has feed() and reset() like it
    more      the JSON of NAME.sourdine.json as a dict; it says whether there is a second stage
    verifier  verifier.Verifier, or whatever has remember(), begin(), advance(), reset() and stride like it
    """

    def __init__(self, manifest, model, more=PLAIN, verifier=None):
        cutoff, size = check(manifest)
        second = second_stage(more)
        if (second is None) != (verifier is None):
            raise ModelError("it has a second stage, or it has not: manifest and model disagree")
        if second:
            if verifier.stride != second["features"]:
                raise ModelError(f"the second stage takes {verifier.stride} features, not {second['features']}")
            cutoff = second["spotter_cutoff"]
            self._enough = int(second["cutoff"] * 255)
        self.word = manifest["wake_word"]
        self.score = 0  # 0..255, mean of the window when it was last judged or filled
        self.answer = -1  # 0..255, what the second stage said last; -1 before it said anything
        self._model = model
        self._verifier = verifier
        self._cutoff = int(cutoff * 255)
        self._window = bytearray(size)
        self._forget()

    @classmethod
    def load(cls, path):
        """From a manifest's path; the other files lie beside it."""
        manifest = _read(path)
        check(manifest)
        more = _read(path.rpartition(".")[0] + ".sourdine.json", PLAIN)
        second = second_stage(more)
        model = _open(path, manifest["model"], Model)
        return cls(manifest, model, more, second and _open(path, second["model"], Verifier))

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
        fires = False
        if self._unjudged and not self._rest:
            self._unjudged = False
            fires = self._sum > self._cutoff * size
        if self._verifier:
            fires = self._verify(features, fires)
        if fires:
            self._forget()
        return fires

    def _verify(self, features, fires):
        """The same with the second stage: True when it has said yes. One slice of its work, if there is any."""
        verifier = self._verifier
        verifier.remember(features)
        if self._pause:
            self._pause -= 1
        if self._asking:
            answer = verifier.advance()
            if answer < 0:
                return False
            self._asking = False
            self.answer = answer
            return answer >= self._enough
        if fires and not self._pause:
            verifier.begin()
            self._asking = True
            self._pause = AGAIN
        return False

    def reset(self):
        """Forget everything heard: after mute, after a loss of samples. A question that is not answered, too."""
        self._model.reset()
        if self._verifier:
            self._verifier.reset()
        self.score = 0
        self.answer = -1
        self._forget()

    def _forget(self):
        for i in range(len(self._window)):
            self._window[i] = 0
        self._sum = self._next = self._newest = 0
        self._unjudged = self._asking = False
        self._rest = REST
        self._pause = 0


def _open(path, name, kind):
    """The model of this name beside the manifest."""
    beside = path.rpartition("/")
    try:
        with open(beside[0] + beside[1] + name, "rb") as file:
            return kind(file)
    except OSError:
        raise ModelError(f"{path}: there is no {name} beside it")
    except ModelError as error:
        raise ModelError(f"{name}: {error}")


def _read(path, absent=None):
    """The JSON; `absent`, if there is such, where there is no file, which is not the same as an unreadable one."""
    try:
        with open(path) as file:
            text = file.read(MANIFEST_MAX + 1)
        if len(text) > MANIFEST_MAX:
            raise ModelError(f"{path}: too long for a manifest")
        return json.loads(text)
    except OSError as error:
        if error.errno != ENOENT:
            raise ModelError(f"{path}: cannot be read")
        if absent is None:
            raise ModelError(f"{path}: no such file")
        return absent
    except ModelError:
        raise
    except (ValueError, RuntimeError):  # the latter for brackets nested too deep
        raise ModelError(f"{path}: not JSON")


def check(manifest):
    """(probability_cutoff, sliding_window_size) of a manifest that is all right."""
    if not isinstance(manifest, dict) or manifest.get("type") != "micro":
        raise ModelError('the manifest is not of type "micro"')
    if manifest.get("version") != 2:
        raise ModelError(f"a manifest of version {manifest.get('version')}; only 2 is supported")
    micro = manifest.get("micro")
    if not isinstance(micro, dict):
        raise ModelError('the manifest has no "micro"')
    word = manifest.get("wake_word")
    if not isinstance(word, str) or not 0 < len(word) <= 64:
        raise ModelError('the manifest\'s "wake_word" is not a text of 1..64 characters')
    _name(manifest)
    if micro.get("feature_step_size") != STEP_MS:
        raise ModelError(f"feature_step_size is {micro.get('feature_step_size')}; only {STEP_MS} (ms) is supported")
    _number(micro, "tensor_arena_size", 1, 1 << 24, (int,))
    return (
        _number(micro, "probability_cutoff", 0, 1, (int, float)),
        _number(micro, "sliding_window_size", 1, WINDOW_MAX, (int,)),
    )


def second_stage(more):
    """What NAME.sourdine.json says about the second stage, if it is all right; None if there is none."""
    if not isinstance(more, dict) or more.get("version") != 1:
        raise ModelError("what sourdine adds to the manifest is not of version 1")
    if "verify" not in more:
        return None
    second = more["verify"]
    if not isinstance(second, dict):
        raise ModelError('"verify" says nothing about a second stage')
    _name(second)
    _number(second, "features", 1, Verifier.STRIDE_MAX, (int,))
    _number(second, "spotter_cutoff", 0, 1, (int, float))
    _number(second, "cutoff", 0, 1, (int, float))
    return second


def _name(manifest):
    name = manifest.get("model")
    if not isinstance(name, str) or not name.endswith(".tflite") or "/" in name:
        raise ModelError('the manifest\'s "model" is not the name of a .tflite beside it')


def _number(micro, key, low, high, types):
    value = micro.get(key)
    if not isinstance(value, types) or isinstance(value, bool) or not low <= value <= high:
        raise ModelError(f"the manifest's {key} is {value}, not a number in {low}..{high}")
    return value
