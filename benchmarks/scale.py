"""What grows when models grow: cost against a model's size, against wake words at once, and a second stage in slices.

python benchmarks/scale.py [--out docs/pictures/scale.png]

Everything is counted as `sourdine bench chip` counts it, and modelled for 240 MHz. The nets of several sizes are
made here, shaped as microWakeWord's mixednet: a convolution of five rows, four blocks of a depthwise and a pointwise
one, each with its ring, and a dense layer. Their weights are random, so only their cost means anything.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from nets import Net, second_stage
from sourdine import plan
from sourdine.verifier import Verifier
from sourdine_tools.chip import budget, history, mpy, workload
from sourdine_tools.chip.core import Core
from sourdine_tools.release import model_names

VALID = 1
SCALE = 26 / 255  # of features
TAPS = (5, 9, 13, 21)  # of the four depthwise filters, as alexa has them
CHANNELS = (8, 16, 32, 48, 64, 96, 128)
SECOND = (16, 40, 96)  # channels of second-stage nets, up to a million MACs
SHARES = (1, 1.5, 2, 3, 4)  # times plan.SLICE, that a slice is given: less than 1 changes little
FRAME_MS = 10
SLICE_MS = 8  # that no step of ours may pass
WORDS = (1, 2, 4)
BOARDS = {"s3": ("ESP32-S3", "#1f77b4"), "esp32": ("ESP32", "#d95f02")}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs/pictures/scale.png", help="where the picture goes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = [point(path) for path in written(Path(folder))]
    public = [point(name) for name in model_names()]
    together = [budget.measure(model_names()[:count]) for count in WORDS]
    second = [sliced(second_stage(np.random.default_rng(3), channels=channels)) for channels in SECOND]
    for row in made + public:
        print(f"{row['name']:14} {row['macs']:8,} MACs {row['instructions']:10,} instructions  rtf {row['rtf']}")
    for net in second:
        print(f"second stage of {net['macs']:,} MACs:", *net["slices"], sep="\n  ")
    draw(options.out, made, public, together, second)
    return 0


def written(folder: Path) -> Iterator[Path]:
    for channels in CHANNELS:
        path = folder / f"{channels}.tflite"
        path.write_bytes(mixednet(channels))
        yield path


def point(model: str | Path) -> dict:
    """One model's size, and its share of a core alone and with everything."""
    figures = budget.measure([str(model)])
    net = figures["models"][0]
    return {
        "name": net["model"],
        "macs": net["macs"],
        "instructions": net["instructions"],
        "share": {board: net[f"ms_{board}"] / net["stride"] / FRAME_MS for board in BOARDS},
        "rtf": {board: figures[f"rtf_{board}"] for board in BOARDS},
    }


def sliced(data: bytes) -> dict:
    """A second-stage net, run in slices of several budgets: how many there are, and how long the longest takes."""
    slices = []
    with Core(budget.ARCH, counting=True) as core:
        meter = workload.Meter(core, mpy.deployed(budget.ARCH))
        with meter.installed():
            model = meter.load(data, Verifier).model
            for share in SHARES:
                units, ms = int(share * plan.SLICE), []
                model.begin()
                score = -1
                while score < 0:
                    with meter.noting(0) as calls:
                        score = model.advance(units)
                    ms.append({b: sum(getattr(call, c) for call in calls) / 240e3 for b, c in budget.CORES.items()})
                longest = {board: max(each[board] for each in ms) for board in BOARDS}
                slices.append({"units": units, "slices": len(ms), "longest_ms": longest})
    return {"macs": model.macs, "slices": slices}


def draw(out: Path, made: list, public: list, together: list, second: list) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.4), layout="constrained")
    sizes(axes[0], made, public)
    words(axes[1], together)
    latencies(axes[2], second, together[0])
    figure.supxlabel(
        f"benchmarks/scale.py, commit {history.commit()}, {history.today()}: instructions counted under qemu, time "
        "modelled for 240 MHz and internal RAM (±30 %), not from silicon",
        fontsize=7.5,
        color="0.35",
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=130, facecolor="white")


def sizes(axes, made: list, public: list) -> None:
    """Load of one core against multiplications per inference."""
    for board, (name, colour) in BOARDS.items():
        line = [row["macs"] / 1e3 for row in made], [row["rtf"][board] for row in made]
        axes.plot(
            *line, "-o", color=colour, markersize=3, label=f"{name}, nets of {CHANNELS[0]} to {CHANNELS[-1]} channels"
        )
        axes.plot(
            [row["macs"] / 1e3 for row in public],
            [row["rtf"][board] for row in public],
            "D",
            color=colour,
            markersize=6,
            markerfacecolor="white",
            label=f"{name}, public models",
        )
    for row in public:
        if row["name"] in ("alexa", "okay_nabu"):
            axes.annotate(row["name"], (row["macs"] / 1e3, row["rtf"]["s3"]), (4, -13), textcoords="offset points")
    axes.set(xlabel="multiplications per inference, thousands (every 30 ms)", ylabel="real-time factor, all of hearing")
    axes.set(title="One wake word, by the model's size", xlim=(0, None), ylim=(0, None))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=7.5)


def words(axes, together: list) -> None:
    """What is shared and what is not, stacked."""
    for index, (board, (name, _)) in enumerate(BOARDS.items()):
        for place, figures in enumerate(together):
            x, bottom = place + 0.4 * index - 0.2, 0.0
            nets = sum(net[f"ms_{board}"] / net["stride"] for net in figures["models"])
            parts = figures["frame"][f"ms_{board}"], nets, figures["interpreter"]["ms"]
            for part, colour in zip(parts, ("#1b9e77", "#7570b3", "#bdbdbd"), strict=True):
                axes.bar(x, part / FRAME_MS, 0.36, bottom, color=colour)
                bottom += part / FRAME_MS
            axes.text(x, bottom + 0.005, f"{bottom:.2f}", ha="center", fontsize=8)
            axes.text(x, 0.008, name.replace("ESP32-", ""), ha="center", fontsize=7, color="white")
    for label, colour in (
        ("interpreter", "#bdbdbd"),
        ("models' kernels", "#7570b3"),
        ("frontend's kernels", "#1b9e77"),
    ):
        axes.bar(0, 0, color=colour, label=label)
    axes.set_xticks(range(len(together)), [f"{count} word{'s' if count > 1 else ''}" for count in WORDS])
    axes.set(title="Wake words at once: one frontend for all", ylabel="real-time factor", ylim=(0, None))
    axes.grid(alpha=0.25, axis="y")
    axes.legend(frameon=False, fontsize=7.5, loc="upper left")


def latencies(axes, second: list, hearing: dict) -> None:
    """How late the second stage's answer is, against how long it may hold up a frame."""
    for net, marker in zip(second, "osD", strict=True):
        for board, (name, colour) in BOARDS.items():
            x = [row["longest_ms"][board] for row in net["slices"]]
            y = [row["slices"] * FRAME_MS for row in net["slices"]]
            axes.plot(x, y, "-" + marker, color=colour, markersize=4, label=f"{name}, {net['macs'] / 1e3:.0f} kMAC")
    axes.set(title="A second stage in slices, one per frame", xlabel="longest slice, ms", ylabel="answer after, ms")
    axes.set(xlim=(0, 14), ylim=(0, None))
    lines = {"at most 8 ms": (SLICE_MS, "0.3")}
    lines |= {"left by hearing": (FRAME_MS - hearing["longest_ms_esp32"], BOARDS["esp32"][1])}
    for text, (x, colour) in lines.items():
        axes.axvline(x, color=colour, linestyle=":", linewidth=1.2)
        place = {"transform": axes.get_xaxis_transform(), "rotation": 90, "ha": "right", "va": "top"}
        axes.text(x - 0.1, 0.98, text, fontsize=7.5, color=colour, **place)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=7.5)


def mixednet(channels: int, seed: int = 3) -> bytes:
    """A streaming net of this width that makes one row of three features a step."""
    random = np.random.default_rng(seed)
    net = Net()
    x, tall = net.tensor([1, 3, 40], SCALE, -128), net.tensor([1, 3, 1, 40], SCALE, -128)
    net.op("RESHAPE", [x, net.constant(1, 3, 1, 40)], [tall])
    plain = {"padding": VALID, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    window = ring(net, "in", tall, 3, 40, 2, SCALE)
    y = net.tensor([1, 1, 1, channels], 0.1, -128)
    layer = weights(net, random, [channels, 5, 1, 40], 0, SCALE)
    net.op("CONV_2D", [window, *layer], [y], **{**plain, "strideH": 3, "fusedActivationFunction": 1})
    for block, taps in enumerate(TAPS):
        window = ring(net, f"block {block}", y, 1, channels, taps - 1, 0.1)
        mixed, y = (net.tensor([1, 1, 1, channels], 0.1, zero) for zero in (0, -128))
        layer = weights(net, random, [1, taps, 1, channels], 3, 0.1)
        net.op("DEPTHWISE_CONV_2D", [window, *layer], [mixed], depthMultiplier=1, **plain)
        layer = weights(net, random, [channels, 1, 1, channels], 0, 0.1)
        net.op("CONV_2D", [mixed, *layer], [y], **plain, fusedActivationFunction=1)
    window, n = ring(net, "out", y, 1, channels, 4, 0.1), 5 * channels
    flat, logit = net.tensor([1, n], 0.1, -128), net.tensor([1, 1], 0.1, 20)
    net.op("RESHAPE", [window, net.constant(-1, n)], [flat])
    net.op("FULLY_CONNECTED", [flat, *weights(net, random, [1, n], 0, 0.1)], [logit])
    sigmoid, score = net.tensor([1, 1], 1 / 256, -128), net.tensor([1, 1], 1 / 256, 0, kind="uint8")
    net.op("LOGISTIC", [logit], [sigmoid])
    net.op("QUANTIZE", [sigmoid], [score])
    return net.build([x], [score])


def ring(net: Net, name: str, new: int, rows: int, width: int, old: int, scale: float) -> int:
    """Keep the last `old` rows in a variable; returns the tensor of those and the new ones."""
    handle, before = net.handle(name), net.tensor([1, old, 1, width], scale, -128)
    both, after = net.tensor([1, old + rows, 1, width], scale, -128), net.tensor([1, old, 1, width], scale, -128)
    net.op("READ_VARIABLE", [handle], [before])
    net.op("CONCATENATION", [before, new], [both], axis=1)
    bounds = net.constant(0, rows, 0, 0), net.constant(0, 0, 0, 0), net.constant(1, 1, 1, 1)
    net.op("STRIDED_SLICE", [both, *bounds], [after], beginMask=13, endMask=15)
    net.op("ASSIGN_VARIABLE", [handle, after], [])
    return both


def weights(net: Net, random: np.random.Generator, shape: list[int], axis: int, scale: float) -> list[int]:
    """A layer's weights and biases, a scale per output."""
    m = shape[axis]
    scales = np.exp(random.uniform(-6, -5, m))
    w = net.tensor(shape, scales, data=random.integers(-127, 128, shape), axis=axis)
    return [w, net.tensor([m], scales * scale, data=random.integers(-900, 900, m), kind="int32")]


if __name__ == "__main__":
    sys.exit(main())
