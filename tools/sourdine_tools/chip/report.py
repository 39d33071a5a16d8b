"""A budget as tables: for a terminal, or as Markdown for docs/performance.md."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sourdine_tools.chip.budget import VM
from sourdine_tools.chip.pipeline import HERTZ

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]  # title, head, rows; the first two columns are words

PSRAM = {"ESP32": 20, "S3": 80}  # MB/s through the cache, from bus width and clock; not measured
DEPTHWISE, POINTWISE = "DEPTHWISE_CONV_2D", "CONV_2D 1x1"


def text(figures: dict[str, Any]) -> str:
    return "\n\n".join([*map(_aligned, tables(figures)), "\n".join(words(figures))])


def markdown(figures: dict[str, Any]) -> str:
    return "\n\n".join([*map(_piped, tables(figures)), "\n".join(words(figures))])


def tables(figures: dict[str, Any]) -> list[Table]:
    return [
        _stages(figures),
        *(_operators(net) for net in figures["models"]),
        *([_second(figures)] if figures["second"] else []),
        _load(figures),
        _targets(figures),
        _bytes(figures),
    ]


def words(figures: dict[str, Any]) -> list[str]:
    """What must be said beside the numbers."""
    interpreter, versions = figures["interpreter"], figures["versions"]
    weights = sum(parts.get("weights", 0) for parts in figures["heap"].values())
    slow, fast = (weights / rate / 1e3 for rate in PSRAM.values())
    lines = f"""\
Workload: {figures["workload"]}. Mean per frame or inference, and the worst of them.
Counted at commit {figures["commit"]} on {figures["date"]}, compiled by mpy-cross {versions["mpy-cross"]}.
Instructions of kernels are counted under qemu, exactly. Milliseconds are modelled from them at \
{HERTZ // 1_000_000} MHz and good to ±{figures["uncertainty"]:.0%} until a board has been timed: no figure here was measured on one.
Between the kernels MicroPython interprets bytecode: {interpreter["instructions_x64"]:,} instructions a frame on x86-64, \
counted, at {VM.cycles} cycles of an ESP32 each, which timings of MicroPython's own benchmarks on the chip say (1.6 to 2.5).
Code and data are taken to be in internal RAM. Weights in PSRAM would come through the cache anew at each inference: \
{weights:,} bytes at an assumed {PSRAM["ESP32"]} MB/s (ESP32) or {PSRAM["S3"]} MB/s (S3, octal) are {slow:.1f} or {fast:.1f} ms more.
Not in these figures: Wi-Fi, the garbage collector, flash writes, and the rest of the program's loop."""
    return lines.splitlines()


def _stages(figures: dict[str, Any]) -> Table:
    rows = [[row["stage"], row["kernel"], *_costs(row)] for row in figures["stages"]]
    rows.append(["frontend", "Frontend.feed", *_costs(figures["frontend"])])
    rows.append(["all", "", *_costs(figures["frame"])])
    return "Each 10 ms frame", ["stage", "kernel", *_COSTS], rows


def _operators(net: dict[str, Any]) -> Table:
    rows = []
    for part in net["parts"]:
        count = f"{part['operators']} x " if part["operators"] > 1 else ""
        for kernel in part["kernels"]:
            per = f"{kernel['per_mac']} / MAC" if "per_mac" in kernel else ""
            per = f"{kernel['per_output']:.0f} / output" if "per_output" in kernel else per
            macs = f"{part['macs']:,}" if "per_mac" in kernel else ""
            rows.append([count + part["operator"], kernel["kernel"], *_costs(kernel), macs, per])
    rows.append(["all", "", *_costs(net), f"{net['macs']:,}", ""])
    title = f"{net['model']}, per inference: every {net['stride']} frames"
    return title, ["operator", "kernel", *_COSTS, "MACs", "each"], rows


def _second(figures: dict[str, Any]) -> Table:
    """Modelled; the interpreter's share is not in it."""
    rows = [
        [
            net["model"],
            "one slice a frame",
            *(f"{net[key]:,}" for key in ("macs", "bytes", "slices")),
            *(f"{net[f'longest_ms_{board}']:.2f}" for board in ("s3", "esp32")),
            f"{net['answer_ms']:.0f}",
        ]
        for net in figures["second"]
    ]
    head = ["model", "", "MACs", "heap", "slices", "longest, S3 ms", "longest, ESP32 ms", "answer after ms"]
    return "Second stage, when the first one fires", head, rows


_COSTS = ["calls", "instructions", "worst", "S3 ms", "ESP32 ms"]


def _costs(row: dict[str, Any]) -> list[str]:
    return [
        f"{row['calls']:g}",
        f"{row['instructions']:,}",
        f"{row['worst']:,}",
        f"{row['ms_s3']:.3f}",
        f"{row['ms_esp32']:.3f}",
    ]


def _load(figures: dict[str, Any]) -> Table:
    """Milliseconds of each 10, and so the share of one core."""
    frame = figures["frame"]
    rows = [["microphone to features", "kernels", f"{frame['ms_s3']:.3f}", f"{frame['ms_esp32']:.3f}"]]
    rows += [
        [net["model"], "kernels", f"{net['ms_s3'] / net['stride']:.3f}", f"{net['ms_esp32'] / net['stride']:.3f}"]
        for net in figures["models"]
    ]
    for part in figures["interpreter"]["parts"]:
        rows.append([part["part"], "interpreter", f"{part['ms']:.3f}", f"{part['ms']:.3f}"])
    for name, key in (("real-time factor", "rtf"), ("", "rtf_kernels")):
        note = "all" if key == "rtf" else "kernels alone"
        rows.append([name, note, f"{figures[f'{key}_s3']:.3f}", f"{figures[f'{key}_esp32']:.3f}"])
    low, high = 1 - figures["uncertainty"], 1 + figures["uncertainty"]
    spans = [f"{figures[f'rtf_{b}'] * low:.2f} to {figures[f'rtf_{b}'] * high:.2f}" for b in ("s3", "esp32")]
    rows.append(["", f"all, ±{figures['uncertainty']:.0%}", *spans])
    longest = [f"{figures[f'longest_ms_{b}']:.2f} ms" for b in ("s3", "esp32")]
    rows.append(["longest turn", "a frame and an inference", *longest])
    return "Load of one core, ms per 10 ms", ["what", "", "S3", "ESP32"], rows


def targets(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """What this firmware means to reach, and what was counted; `reached` is None where a model has no such layer.

    `target` is None for what is there to compare.
    """
    parts = [part for net in figures["models"] for part in net["parts"]]
    rows = [
        ("frontend, instructions per frame", 150_000, figures["frontend_instructions"]),
        ("with the microphone's and the loudness's", None, figures["frame"]["instructions"]),
        ("pointwise layers together, instructions per MAC", 9, _ratio(parts, lambda part: part == POINTWISE, "macs")),
        (
            "depthwise layers together, instructions per MAC",
            14,
            _ratio(parts, lambda part: part.startswith(DEPTHWISE), "macs"),
        ),
        ("requantise, instructions per output", 90, _ratio(parts, lambda part: True, "outputs")),
        ("real-time factor, S3", 0.20, figures["rtf_s3"]),
        ("real-time factor, ESP32", 0.25, figures["rtf_esp32"]),
    ]
    return [{"what": what, "target": target, "reached": reached} for what, target, reached in rows]


def _ratio(parts: Iterable[dict[str, Any]], wanted: Callable[[str], bool], unit: str) -> float | None:
    """Instructions per MAC (without requantising), or per requantised output."""
    key = {"macs": "per_mac", "outputs": "per_output"}[unit]
    spent = units = 0
    for part in parts:
        kernels = [kernel for kernel in part["kernels"] if key in kernel]
        if kernels and wanted(part["operator"]):
            spent += sum(kernel["instructions"] for kernel in kernels)
            units += part[unit]
    return round(spent / units, 2) if units else None


def _targets(figures: dict[str, Any]) -> Table:
    rows = [
        [
            row["what"],
            _met(row),
            "" if row["target"] is None else f"{row['target']:,}",
            "" if row["reached"] is None else f"{row['reached']:,}",
        ]
        for row in targets(figures)
    ]
    return "Targets", ["what", "", "at most", "counted"], rows


def _met(row: dict[str, Any]) -> str:
    if row["target"] is None:
        return ""
    return "none here" if row["reached"] is None else "met" if row["reached"] <= row["target"] else "missed"


def _bytes(figures: dict[str, Any]) -> Table:
    rows = []
    for name, parts in figures["heap"].items():
        known = sum(size for part, size in parts.items() if part != "x64")
        detail = ", ".join(f"{part} {size:,}" for part, size in parts.items() if part != "x64")
        rows.append([f"heap: {name}", f"{detail}; the desktop's heap grows by {parts['x64']:,}", f"{known:,}"])
    native, flash = figures["native_code"], figures["flash"]
    detail = ", ".join(f"{module} {size:,}" for module, size in native.items())
    rows.append(["native code", detail, f"{sum(native.values()):,}"])
    detail = f"program {flash['program']:,}, models {flash['models']:,}; {flash['blocks']:,} in blocks of 4 KiB"
    rows.append(["flash", detail, f"{flash['program'] + flash['models']:,}"])
    return "Bytes", ["where", "of which", "bytes"], rows


def _aligned(table: Table) -> str:
    title, head, rows = table
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = []
    previous = ""
    for row in [head, *rows]:
        shown = ["" if row[0] == previous else row[0], *row[1:]]
        previous = row[0]
        cells = [
            cell.ljust(n) if i < 2 else cell.rjust(n) for i, (cell, n) in enumerate(zip(shown, widths, strict=True))
        ]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return "\n".join([title, *lines])


def _piped(table: Table) -> str:
    title, head, rows = table
    marks = ["---" if i < 2 else "--:" for i in range(len(head))]
    return "\n".join([f"**{title}**", "", *("| " + " | ".join(row) + " |" for row in [head, marks, *rows])])
