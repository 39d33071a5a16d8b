"""`sourdine serve`: the server, until Ctrl-C; and the two things one tells it from another window."""

import argparse
import asyncio
import os
import signal
from pathlib import Path

PORT = 8443


def default_state() -> Path:
    """Where the CA, the list of speakers and their ledgers live unless --state says otherwise."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "sourdine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state",
        type=Path,
        default=default_state(),
        metavar="DIR",
        help="keys, speakers, ledgers; made on first use (default: %(default)s)",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on; for real boards give this machine's address in your network, or 0.0.0.0 for all "
        "(default: %(default)s, which only this machine can reach)",
    )
    parser.add_argument("--port", type=int, default=PORT, help="default: %(default)s")
    other = parser.add_mutually_exclusive_group()
    other.add_argument(
        "--new-code",
        metavar="NAME",
        help="print a code for one new speaker and exit; it works once, for ten minutes, while the server runs",
    )
    other.add_argument("--revoke", metavar="NAME", help="refuse this speaker from its next session on, and exit")
    parser.epilog = "Exit status: 0 done, or ended by Ctrl-C; 2 a mistake."


def run(arguments: argparse.Namespace) -> int:
    from sourdine_tools.server import enrol
    from sourdine_tools.server.pki import Authority

    if arguments.new_code:
        code = enrol.mint(Authority(arguments.state), arguments.new_code)
        print(f"For {arguments.new_code}, once, within ten minutes:\n\n    {code}\n\nNow run: sourdine pair")
        return 0
    if arguments.revoke:
        Authority(arguments.state).revoke(arguments.revoke)
        print(f"{arguments.revoke} will be refused from its next session on")
        return 0
    asyncio.run(_serve(arguments))
    return 0


async def _serve(arguments: argparse.Namespace) -> None:
    from sourdine_tools.server import Server

    server = Server(arguments.state, arguments.host, arguments.port, announce=_announce)
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    await server.start()
    _announce(f"listening on {server.host} port {server.port}; state in {server.state}")
    if server.host in ("127.0.0.1", "::1", "localhost"):
        _announce("only this machine can reach it: for real boards add --host 0.0.0.0")
    await over.wait()
    await server.stop()
    _announce("stopped")


def _announce(line: str) -> None:
    print(line, flush=True)
