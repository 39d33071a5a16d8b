"""Counts again, and writes the generated parts of docs/performance.md.

python benchmarks/performance.py

viper is what is deployed; "plain C" are the same kernels as one would write them, and the accelerator those of
`make accel`, both compiled by Debian's clang-22: all three counted and modelled on the same workload by the same harness.
Where a kernel has no C, viper's stands in for it.
"""

import sys
from pathlib import Path

from sourdine_tools.chip import budget, history, report

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs/performance.md"
MODEL = "alexa"
BUILDS = {"viper": "", "plain C": "plain", "accelerator": "fast"}


def main() -> int:
    when = {"date": history.today(), "commit": history.commit()}
    counted = {name: when | budget.measure([MODEL], build) for name, build in BUILDS.items()}
    text = DOCUMENT.read_text()
    for mark, part in (
        ("counted", report.markdown(counted["viper"])),
        ("compared", comparison(counted)),
        ("since", since(counted["viper"])),
    ):
        text = replaced(text, mark, part)
    DOCUMENT.write_text(text)
    return 0


def replaced(text: str, mark: str, part: str) -> str:
    """What is between two marks of the document becomes `part`."""
    before, begin, rest = text.partition(f"<!-- {mark} -->\n")
    _, end, after = rest.partition(f"<!-- end of {mark} -->")
    if not begin or not end:
        raise SystemExit(f"{DOCUMENT} has no marks <!-- {mark} --> and <!-- end of {mark} -->")
    return f"{before}{begin}\n{part}\n\n{end}{after}"


def comparison(counted: dict[str, dict]) -> str:
    """Instructions per frame by kernel, and the modelled load of all, of each build."""
    every = {name: per_frame(figures) for name, figures in counted.items()}
    head = ["kernel", *BUILDS, "viper : C", "viper : accelerator"]
    lines = [head, ["---", *["--:"] * (len(head) - 1)]]
    for kernel in every["viper"]:
        lines.append([f"`{kernel}`", *_row([each[kernel] for each in every.values()], "{:,.0f}")])
    totals = [sum(each.values()) for each in every.values()]
    lines.append(["all, instructions", *_row(totals, "{:,.0f}")])
    for board, name in (("s3", "S3"), ("esp32", "ESP32")):
        ms = [10 * figures[f"rtf_kernels_{board}"] for figures in counted.values()]
        lines.append([f"all, ms on {name}", *_row(ms, "{:.2f}")])
        ms = [10 * figures[f"rtf_{board}"] for figures in counted.values()]
        lines.append([f"with the interpreter, ms on {name}", *_row(ms, "{:.2f}")])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _row(values: list[float], form: str) -> list[str]:
    return [form.format(value) for value in values] + [f"{values[0] / value:.1f}" for value in values[1:]]


def per_frame(figures: dict) -> dict[str, float]:
    """Instructions per frame by kernel; an inference's are spread over its frames."""
    found = {row["kernel"]: float(row["instructions"]) for row in figures["stages"]}
    for net in figures["models"]:
        for part in net["parts"]:
            for row in part["kernels"]:
                found[row["kernel"]] = found.get(row["kernel"], 0) + row["instructions"] / net["stride"]
    return found


def since(figures: dict) -> str:
    """The first entry of the history against now: totals and kernels, per frame or inference."""
    first = history.read()[0]
    before, now = (by_kernel(counts) for counts in (first["instructions"], history.counts(figures)))
    lines = [["instructions", f"{first['commit']} of {first['date']}", "now", "of it"], ["---", "--:", "--:", "--:"]]
    for name in before | now:
        old, new = before.get(name), now.get(name)
        share = f"{new / old:.0%}" if old and new else ""
        lines.append([name, *("" if count is None else f"{count:,}" for count in (old, new)), share])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def by_kernel(counts: dict[str, int]) -> dict[str, int]:
    """Instructions of the wholes, and of each kernel wherever it is called."""
    found: dict[str, int] = {}
    for name, count in counts.items():
        whole, _, kernel = name.partition(" ")
        name = f"{whole}, `{kernel.rpartition(' ')[2]}`" if kernel else f"**{whole}**"
        found[name] = found.get(name, 0) + count
    return found


if __name__ == "__main__":
    sys.exit(main())
