"""`sourdine bench chip`: what listening costs an ESP32, counted from the code that would be deployed.

Without a board everything but the silicon itself is known: the kernels' machine code runs under qemu, which counts
it. With --port a board runs the same kernels on the same calls, and is timed.
"""

import argparse
import json
import sys

from sourdine_board.mistake import Mistake
from sourdine_tools.release import MODEL


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("what", choices=["chip"], help="the firmware's ears on the chip; nothing else yet")
    parser.add_argument(
        "--model", action="append", metavar="NAME|PATH", help=f"a model, or several at once ({MODEL} if none is named)"
    )
    parser.add_argument("--accel", action="store_true", help="with the optional accelerator's kernels")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="every figure as one JSON object")
    form.add_argument("--markdown", action="store_true", help="the tables as docs/performance.md has them")
    parser.add_argument("--record", action="store_true", help="append the counts to benchmarks/chip.json")
    parser.add_argument("--compare", action="store_true", help="say what costs more than in the latest of those")
    parser.add_argument("--port", metavar="TTY", help="time the same kernels on the flashed board there, too")
    parser.epilog = (
        "Instructions are counted, milliseconds are modelled at 240 MHz (±30 %), unless --port timed them.\n"
        "Nothing is written to the board, and its program starts again at the end.\n"
        "Exit status: 0 done, 1 --compare found a count more than 3 % higher, 2 a mistake."
    )


def run(arguments: argparse.Namespace) -> int:
    from sourdine_tools.chip import budget, history, report

    models = arguments.model or [MODEL]
    if arguments.record or arguments.compare:
        if arguments.port:
            raise Mistake("--record and --compare are about counts, --port about time: leave one of them out")
        if arguments.accel:
            raise Mistake("--record and --compare are about what is deployed: leave --accel out")
    if arguments.port:
        from sourdine_tools.chip import silicon

        timing = silicon.time(arguments.port, models[0], tell)
        print(json.dumps(timing, indent=1) if arguments.json else silicon.text(timing))
        return 0
    figures = {"date": history.today(), "commit": history.commit()} | budget.measure(
        models, "fast" if arguments.accel else "", tell
    )
    if arguments.json:
        print(json.dumps(figures | {"targets": report.targets(figures)}, indent=1))
    else:
        print(report.markdown(figures) if arguments.markdown else report.text(figures))
    worse = compared(figures) if arguments.compare else []
    if arguments.record:
        new = history.record(figures)
        print(f"{'recorded in' if new else 'nothing new for'} {history.FILE}", file=sys.stderr)
    return 1 if worse else 0


def compared(figures: dict) -> list[str]:
    """What got worse since the latest entry; says it, and what got better, on stderr."""
    from sourdine_tools.chip import history

    entries = history.read()
    if not entries:
        raise Mistake("there is nothing to compare with yet: run this with --record once")
    latest = entries[-1]
    worse, better = history.compare(latest, figures)
    print(f"against {latest['commit']} of {latest['date']}:", file=sys.stderr)
    for sign, lines in (("more  ", worse), ("fewer ", better)):
        for line in lines:
            print(f"  {sign} {line}", file=sys.stderr)
    if not worse and not better:
        print("  nothing differs by more than 3 %", file=sys.stderr)
    elif not worse:
        print("  record it: sourdine bench chip --record", file=sys.stderr)
    return worse


def tell(done: int, total: int, what: str) -> None:
    """Draw how far it is over one line of a terminal's stderr, and wipe it at the end."""
    if sys.stderr.isatty():
        line = f"{what}: {done} of {total}" if done < total else ""
        sys.stderr.write(f"\r{line:<60}" + ("" if line else "\r"))
        sys.stderr.flush()
