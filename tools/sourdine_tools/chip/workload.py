"""What the chip computes while it listens, counted: the firmware's own ears, run with the chip's own code.

Frontend, Model and the two sample loops run on CPython as they are; only their kernels are replaced, each by its
machine code in a Core. The sound is made here from integers, so it is the same on every computer: silence (all
zero, as from a cut microphone), a quiet room, a voice's vowel, and noise that saturates, SECTION frames of each.
"""

import contextlib
import importlib
import itertools
import math
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sourdine.frontend
from sourdine import dsp, operators, spec
from sourdine import plan as plans
from sourdine.plan import Plan
from sourdine.tflite import Model
from sourdine.verifier import Verifier
from sourdine_tools.chip.core import Core
from sourdine_tools.chip.pipeline import cycles
from sourdine_tools.progress import Progress, quiet

SECTION = 12  # frames of each kind of sound: with a model of stride 3, four inferences
LEAD = 2  # silent blocks before the first frame, which needs three
KINDS = ("silent", "quiet", "voice", "loud")
SOUND = f"{SECTION} frames each of silence, a quiet room, a voice and saturating noise"

COPIES = "copies"  # of READ_VARIABLE, CONCATENATION, STRIDED_SLICE …: neighbours share a call
FEATURES = "features in"
FILTERED = ("CONV_2D", "DEPTHWISE_CONV_2D")  # the height and width of their filter is part of a label

Kernels = Mapping[str, Mapping[str, bytes]]  # module → kernel → machine code


@dataclass(frozen=True)
class Call:
    """One call of a kernel in frame or inference `index`; `part` is the kind of operator, "" in the frontend."""

    index: int
    part: str
    kernel: str  # "fft.spectrum"
    instructions: int
    lx7: float  # cycles
    lx6: float


@dataclass
class Part:
    """All operators of one kind and filter in a model; numbers per inference."""

    operators: set[int] = field(default_factory=set)
    macs: int = 0
    outputs: int = 0


@dataclass
class Net:
    """One model, and every call of its inferences."""

    model: Model
    parts: dict[str, Part] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    inferences: int = 0


@dataclass
class Trace:
    """Every call of the frames, and of the inferences that they filled."""

    frontend: sourdine.frontend.Frontend
    calls: list[Call]
    frames: int
    nets: dict[str, Net]
    features: list[bytes]  # of each frame, as the nets took them


def run(
    core: Core,
    kernels: Kernels,
    models: Mapping[str, bytes],
    sound: Sequence[array] | None = None,
    tell: Progress = quiet,
) -> Trace:
    """Run the ears over the sound once: microphone's words → features → each model.

    models  name → .tflite; none for the frontend alone. Raises ModelError for one that cannot run.
    sound   blocks of HOP int32 words, the first LEAD of which fill the window; None: blocks().
    """
    meter = Meter(core, kernels)
    with meter.installed():
        frontend = sourdine.frontend.Frontend()
        nets = {name: meter.load(data) for name, data in models.items()}
        words, samples = array("i", bytes(4 * spec.HOP)), array("h", bytes(2 * spec.HOP))
        calls: list[Call] = []
        heard: list[bytes] = []
        frames = 0
        sound = list(blocks()) if sound is None else sound
        for number, block in enumerate(sound):
            tell(number, len(sound), "counting blocks of sound")
            words[:] = block
            with meter.noting(frames) as noted:
                dsp.unpack(words, samples, spec.HOP, spec.MIC_SHIFT)
                dsp.energy(samples, spec.HOP)
                features = frontend.feed(samples)
            if features is None:
                continue
            calls += noted
            heard.append(bytes(features))
            frames += 1
            for net in nets.values():
                with meter.noting(net.inferences) as noted:
                    net.inferences += net.model.feed(features) >= 0
                net.calls += noted
    tell(len(sound), len(sound), "counting")
    for net in nets.values():
        net.calls = [call for call in net.calls if call.index < net.inferences]
    return Trace(frontend, calls, frames, nets, heard)


def answer(core: Core, kernels: Kernels, data: bytes, heard: Sequence[bytes]) -> tuple[Verifier, list[list[Call]]]:
    """A second stage, and the calls of each slice of its answer about these features, over and over till it is full.

    Raises ModelError for one that cannot run.
    """
    meter = Meter(core, kernels)
    with meter.installed():
        verifier = Verifier(data)
        for i in range(verifier.stride):
            verifier.remember(heard[i % len(heard)])
        with meter.noting(0):
            verifier.begin()
        slices: list[list[Call]] = []
        said = -1
        while said < 0:
            with meter.noting(len(slices)) as noted:
                said = verifier.advance()
            slices.append(noted)
    return verifier, slices


class Meter:
    """Replaces kernels by their machine code, and notes each call with what it is part of."""

    def __init__(self, core: Core, kernels: Kernels) -> None:
        self._core, self._kernels = core, kernels
        self._calls: list[Call] = []
        self._index = 0
        self._now, self._parts = "", {}  # of the operator that is being added to a plan
        self._items: dict[int, tuple[str, list]] = {}  # a call's operator, by the identity of its items, …
        self._tables: dict[int, tuple[str, array]] = {}  # … and of the table that becomes of them

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """The firmware's kernels are machine code, and plans remember which operator asked for a call."""
        with contextlib.ExitStack() as stack:
            for module, kernels in self._kernels.items():
                room = importlib.import_module(f"sourdine.{module}")
                for name, code in kernels.items():
                    stack.enter_context(changed(room, name, self._kernel(f"{module}.{name}", code)))
            known = {code: (name, self._named(name, add)) for code, (name, add) in operators.KNOWN.items()}
            stack.enter_context(changed(operators, "KNOWN", known))
            stack.enter_context(changed(Plan, "call", self._noted_call(Plan.call)))
            stack.enter_context(changed(plans, "addresses", self._noted_addresses(plans.addresses)))
            yield

    def load(self, data: bytes, kind: type = Model) -> Net:
        """A model whose operators are known by name; kind: Model, or Verifier for a second stage."""
        self._parts = {}
        return Net(kind(data), self._parts)

    @contextlib.contextmanager
    def noting(self, index: int) -> Iterator[list[Call]]:
        """The list fills with the calls made inside."""
        self._index, self._calls = index, []
        yield self._calls

    def _kernel(self, kernel: str, code: bytes) -> Callable[..., int | None]:
        def call(*arguments: Any) -> int | None:
            result = self._core.call(code, *arguments)
            counts = self._core.counts
            part = COPIES if kernel == "int8.move" else self._part(kernel, arguments)
            both = cycles(counts, "lx7"), cycles(counts, "lx6")
            self._calls.append(Call(self._index, part, kernel, counts.instructions, *both))
            return result

        call.__name__ = kernel.rpartition(".")[2]
        return call

    def _part(self, kernel: str, arguments: tuple) -> str:
        if not kernel.startswith("int8."):
            return ""
        return self._tables[id(arguments[2])][0] if id(arguments[2]) in self._tables else FEATURES

    def _named(self, name: str, add: Callable) -> Callable:
        def named(plan: Plan, op: Any) -> None:
            self._now = name
            if name in FILTERED:
                self._now += " {}x{}".format(*op.weights(1).shape[1:3])
            part = self._parts.setdefault(self._now, Part())
            part.operators.add(plan.now)
            part.outputs += sum(op.output(i).size for i in range(len(op.outputs)) if name != "VAR_HANDLE")
            add(plan, op)

        return named

    def _noted_call(self, call: Callable) -> Callable:
        def noted(plan: Plan, kernel: Any, constants: Any, items: list, macs: int = 0, cost: int = 0) -> None:
            self._items[id(items)] = self._now, items
            self._parts[self._now].macs += macs
            call(plan, kernel, constants, items, macs, cost)

        return noted

    def _noted_addresses(self, addresses: Callable) -> Callable:
        def noted(items: list) -> array:
            table = addresses(items)
            if id(items) in self._items:
                self._tables[id(table)] = self._items[id(items)][0], table
            return table

        return noted


def blocks() -> Iterator[array]:
    """The workload's sound as the microphone's words: LEAD blocks, then SECTION of each kind."""
    noise, voice = _noise(), _voice()
    for number in range(LEAD + SECTION * len(KINDS)):
        kind = KINDS[max(0, number - LEAD) // SECTION]
        yield array("i", (_sample(kind, next(noise), next(voice)) << spec.MIC_SHIFT for _ in range(spec.HOP)))


def speech(frames: int) -> Iterator[array]:
    """The first blocks of the voice: LEAD of them, then as many as frames."""
    start = LEAD + SECTION * KINDS.index("voice")
    return itertools.islice(blocks(), start, start + LEAD + frames)


def _sample(kind: str, random: int, voice: int) -> int:
    if kind == "quiet":
        return random % 40 - 20  # white, -69 dBFS
    if kind == "voice":
        return voice + random % 200 - 100
    if kind == "loud":
        return random % 98_304 - 49_152  # a third of it past 16 bits
    return 0


def _noise() -> Iterator[int]:
    """30 random bits at a time, the upper ones of a linear congruential generator."""
    state = 1
    while True:
        state = (state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % (1 << 63)
        yield state >> 33


def _voice() -> Iterator[int]:
    """Pulses of 110 to 160 Hz through the resonances of an open vowel, to a third of full scale; int16."""
    formants = [
        (round(2 * r * math.cos(math.tau * hertz / spec.SAMPLE_RATE) * 4096), round(r * r * 4096))
        for hertz, r in ((700, 0.985), (1220, 0.98), (2600, 0.97))
    ]
    past = [[0, 0] for _ in formants]
    phase = 0
    for number in itertools.count():
        phase += 110 + number // 40 % 50
        x = 1000 if phase >= spec.SAMPLE_RATE else 0
        phase %= spec.SAMPLE_RATE
        for (a, b), old in zip(formants, past, strict=True):
            x += (a * old[0] - b * old[1]) // 4096
            old[:] = x, old[0]
        yield max(-20_000, min(20_000, x // 4))


@contextlib.contextmanager
def changed(owner: Any, name: str, value: Any) -> Iterator[None]:
    """owner.name is `value` for a while."""
    kept = owner.__dict__[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, kept)
