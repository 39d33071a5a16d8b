"""The `sourdine` command. Each subcommand is one module with add_arguments() and run().

A module is imported only when its command is used, so `sourdine flash` loads nothing that it does not need.
"""

import argparse
import errno
import importlib
import importlib.metadata
import os
import sys

from sourdine_board.mistake import Mistake

PACKAGE = "sourdine-speaker"
COMMANDS = {
    "demo": ("sourdine_tools.demo", "show the whole way in one picture: a room, a board, a server, a proof"),
    "twin": ("sourdine_board.twin.command", "run the simulated board and print the tty that mpremote can use"),
    "flash": ("sourdine_tools.flash", "put the firmware on a board, copying only what changed"),
    "verify": ("sourdine_tools.verify", "compare a board's files with this release and name any stranger"),
    "pair": ("sourdine_tools.pair", "give a board its Wi-Fi, key and certificate, over USB"),
    "serve": ("sourdine_tools.serve", "receive what your speakers send, on your own machine"),
    "audit": ("sourdine_tools.audit", "compare what a board says it sent with what the server says it received"),
    "phrase": ("sourdine_tools.phrase", "say whether a phrase makes a good wake word"),
    "train": ("sourdine_tools.train", "make a wake word of your own, from its text to a model that can be flashed"),
    "record": ("sourdine_tools.record", "take recordings of your own voice, to train with"),
    "evaluate": ("sourdine_tools.evaluate", "say how many a wake-word model misses and how often it is wrong"),
    "sweep": ("sourdine_tools.sweep", "search for a better recipe"),
    "bench": ("sourdine_tools.bench", "count what listening costs the chip, or time it on a board"),
    "pins": ("sourdine_board.pinmap", "write firmware/sourdine/pins.py from the circuit"),
}


def main(argv: list[str] | None = None) -> int:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # our matrices are small: on a busy machine threads only wait
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="sourdine",
        description="A speaker whose privacy you can check instead of trust.",
        epilog="`sourdine COMMAND --help` explains each of them.",
    )
    parser.add_argument("--version", action="version", version=f"sourdine {importlib.metadata.version(PACKAGE)}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if argv[:1] == [name]:
            room = importlib.import_module(module)
            room.add_arguments(command)
            command.set_defaults(run=room.run)
    arguments = parser.parse_args(argv)
    try:
        status = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print(f"sourdine {arguments.command}: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read on, as in `sourdine verify | head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left has nowhere to go at exit
        return 141
    except (Mistake, OSError) as error:
        mistake = error if isinstance(error, Mistake) else Mistake(_in_the_way(error))
        print(f"sourdine {arguments.command}: {mistake}", file=sys.stderr)
        return 2


def _in_the_way(error: OSError) -> str:
    """What a person can do about a file that this machine refuses; any other OSError is ours, and is raised again."""
    if error.errno == errno.ENOSPC:
        return "the disk is full: make room and run this again"
    if error.filename is None or error.strerror is None:
        raise error
    return f"cannot use {error.filename} ({error.strerror}): choose another place, or mend this one"
