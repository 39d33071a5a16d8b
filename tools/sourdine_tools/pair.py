"""`sourdine pair`: give a board its Wi-Fi, its key and its certificate, over USB.

The key is made here in memory, goes to the board and nowhere else: neither this machine's disk nor the server
sees it. On the board it lies in clear on the flash, as the Wi-Fi password does (SECURITY.md).
"""

import argparse
import getpass
import ipaddress
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from sourdine.settings import BadSettings, Settings
from sourdine_board.mistake import Mistake
from sourdine_tools import board_files
from sourdine_tools.board_link import START_S, Link, ProgramStopped, connect
from sourdine_tools.release import EXEMPT, MODEL
from sourdine_tools.serve import PORT
from sourdine_tools.server import enrol

SETTINGS, CA, CERTIFICATE, KEY = EXEMPT
TWIN = "x64"  # its network is this machine's
PASSWORD = "SOURDINE_WIFI_PASSWORD"


@dataclass(frozen=True)
class Report:
    """`device` is the server's name for the board; `said` the program's first words, "" if it has none yet."""

    device: str
    wake: str
    said: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", help="the board's serial port; found by itself when one board is plugged in")
    parser.add_argument("--ssid", help="the Wi-Fi's name")
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        help=f"holds the Wi-Fi's password, - for stdin; or set {PASSWORD}; it is never an argument, because "
        "every program on this machine could read it there",
    )
    parser.add_argument(
        "--server",
        metavar="HOST[:PORT]",
        help=f"where `sourdine serve` runs (port: {PORT}); best an address that your router keeps for it: while a name "
        "is looked up in vain, the speaker hears nothing",
    )
    parser.add_argument("--code", help="the one-time code that `sourdine serve --new-code NAME` printed")
    parser.add_argument("--wake", metavar="MODEL", help="the wake word's model (default: the one on the board)")
    parser.epilog = "What is not given is asked for. Exit status: 0 paired, 2 not."


def run(arguments: argparse.Namespace) -> int:
    code = arguments.code or ask("one-time code (from `sourdine serve --new-code NAME`)", "--code")
    enrol.parse(code)  # a typing mistake is found before anything else is asked
    host, port = address(arguments.server or ask("server, as HOST or HOST:PORT", "--server"))
    ssid = arguments.ssid or ask("name of the Wi-Fi", "--ssid")
    password = wifi_password(arguments.password_file)
    report = pair(arguments.port, ssid=ssid, password=password, code=code, host=host, port=port, wake=arguments.wake)
    print(f"paired as {report.device}, wakes on {report.wake}")
    print(report.said or "the board has no program yet: run sourdine flash")
    return 0


def ask(what: str, flag: str, how: Callable[[str], str] = input) -> str:
    """Ask the person at the terminal, or name the flag that answers when there is none."""
    if not sys.stdin.isatty():
        raise Mistake(f"nobody is there to ask: give {flag}")
    return how(f"{what}: ").strip()


def wifi_password(file: str | None) -> str:
    """From a file, the environment or the terminal, unseen. "" is an open Wi-Fi."""
    try:
        if file:
            return (sys.stdin.readline() if file == "-" else Path(file).read_text()).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Mistake(f"cannot read the password from {file}: {error}") from error
    if PASSWORD in os.environ:
        return os.environ[PASSWORD]
    return ask("password of the Wi-Fi (not shown)", f"--password-file or {PASSWORD}", getpass.getpass)


def address(text: str) -> tuple[str, int]:
    """HOST, HOST:PORT or [IPV6]:PORT."""
    host, _, port = text.rpartition(":") if ":" in text.rsplit("]", 1)[-1] else (text, "", str(PORT))
    host = host.strip("[]")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise Mistake(f"{text!r} is no address: write HOST or HOST:PORT")
    return host, int(port)


def only_here(host: str) -> bool:
    """Whether an address means a different machine to everyone who dials it."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.rstrip(".").lower() == "localhost"
    return address.is_loopback or address.is_unspecified


def pair(
    tty: str | None,
    *,
    ssid: str,
    password: str,
    code: str,
    host: str,
    port: int,
    device: str | None = None,
    wake: str | None = None,
    patience_s: float = START_S,
) -> Report:
    """Enrol the board on `tty` and write its settings. `device`: refuse a code that was made for another name.

    Whatever can be checked is checked before the code is spent. Raises Mistake.
    """
    if password and not 8 <= len(password.encode()) <= 63:
        raise Mistake("a Wi-Fi password has 8 to 63 characters (none for an open Wi-Fi)")
    plan = {
        "device": device or "?",
        "wifi": {"ssid": ssid, "password": password},
        "server": {"host": host, "port": port, "name": "?"},
        "wake": wake or MODEL,
    }
    check(plan)
    with connect(tty) as link:
        if link.arch != TWIN and only_here(host):
            raise Mistake(
                f"to the board, {host} is the board itself: give --server this machine's address in your network"
            )
        before = board_files.survey(link)
        plan["wake"] = wake or model_on(before)
        key = ec.generate_private_key(ec.SECP256R1())
        enrolled = enrol.request(code, csr(key), host, port)
        if device not in (None, enrolled.device):
            raise Mistake(f"that code was made for {enrolled.device}, not {device}: make one for {device}")
        plan["device"], plan["server"]["name"] = enrolled.device, enrolled.server_name
        write(link, plan, enrolled, key, before)
        try:
            said = link.reset(patience_s)
        except ProgramStopped as stopped:  # it is paired all the same
            said = str(stopped)
    return Report(enrolled.device, plan["wake"], said)


def check(plan: dict) -> None:
    """The firmware's own rules for its settings, before they reach it."""
    try:
        Settings(plan)
    except BadSettings as error:
        raise Mistake(str(error).removeprefix("settings.json: ")) from error


def model_on(found: board_files.Survey) -> str:
    """The only model on the board; the default's name before it is flashed."""
    models = [PurePosixPath(path).stem for path in found.hashes if PurePosixPath(path).match("/models/*.json")]
    return models[0] if len(models) == 1 else MODEL


def csr(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A request that proves possession of `key`; the server chooses the name."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sourdine")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM)


def write(
    link: Link, plan: dict, enrolled: enrol.Enrolled, key: ec.EllipticCurvePrivateKey, before: board_files.Survey
) -> None:
    """Settings last: a board with settings has the key and certificate that belong to them."""
    check(plan)
    private = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    files = {CA: enrolled.ca_der, CERTIFICATE: enrolled.cert_der, KEY: private}
    board_files.replace(link, {**files, SETTINGS: json.dumps(plan).encode()}, SETTINGS, before=before)
