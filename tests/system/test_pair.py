"""`sourdine pair` on real MicroPython: what it asks, what it writes, and where the key never goes."""

import io
import json
import sys
from contextlib import contextmanager, nullcontext

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key
from cryptography.x509 import load_der_x509_certificate

from ramboard import RamBoard
from sourdine.settings import load
from sourdine_board.mistake import Mistake
from sourdine_tools import board_files, pair
from sourdine_tools.server import Server, enrol, serving

WHERE = {"ssid": "house", "password": "correct horse", "host": "127.0.0.1"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(Server(tmp_path_factory.mktemp("server"), host="127.0.0.1", port=0)) as running:
        yield running


@pytest.fixture(scope="module")
def chip():
    board = RamBoard(blocks=32)
    board.save("empty")
    yield board
    board.close()


@pytest.fixture
def board(chip, monkeypatch):
    """An empty board, reached wherever `pair` connects to."""
    chip.restore("empty")

    @contextmanager
    def connect(_):
        link = chip.link()
        link.reset = lambda patience_s: "sourdine 0.1.0: ready"
        yield link

    monkeypatch.setattr(pair, "connect", connect)
    return chip


def paired(server, **changes):
    code = enrol.mint(server.authority, "kitchen")
    return pair.pair(None, **{**WHERE, "code": code, "port": server.port, **changes})


def contents(board):
    link = board.link()
    return {path: board_files.read(link, path) for path in board_files.survey(link).hashes}


def test_the_firmware_accepts_what_pairing_wrote(server, board, tmp_path):
    report = paired(server)
    assert (report.device, report.wake) == ("kitchen", "alexa")
    for path, data in contents(board).items():
        (tmp_path / path[1:]).parent.mkdir(exist_ok=True)
        (tmp_path / path[1:]).write_bytes(data)
    settings = load(f"{tmp_path}/")
    assert (settings.device, settings.ssid, settings.password) == ("kitchen", "house", "correct horse")
    assert (settings.host, settings.port, settings.wake) == ("127.0.0.1", server.port, "alexa")
    certificate = load_der_x509_certificate(settings.certificate)
    key = load_der_private_key(settings.key, None)
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert key.public_key().public_bytes(*spki) == certificate.public_key().public_bytes(*spki)
    certificate.verify_directly_issued_by(load_der_x509_certificate(settings.ca))


def test_every_pairing_makes_a_new_key(server, board):
    paired(server)
    first = contents(board)["/certs/key.der"]
    paired(server)
    assert contents(board)["/certs/key.der"] != first


opened = []
watching = False


def note(event, arguments):
    if watching and event == "open" and arguments[2] & 3:  # O_WRONLY, O_RDWR
        opened.append(arguments[0])


def test_the_key_never_touches_this_machines_disk(server, board, monkeypatch):
    global watching
    real = enrol.request(enrol.mint(server.authority, "kitchen"), pair.csr(pair.ec.generate_private_key(pair.ec.SECP256R1())),
                         "127.0.0.1", server.port)  # fmt: skip
    monkeypatch.setattr(enrol, "request", lambda *_: real)  # the server writes its own files in this process
    sys.addaudithook(note)
    watching = True
    try:
        pair.pair(None, **WHERE, code="unused", port=1)
    finally:
        watching = False
    assert opened == []
    assert "/certs/key.der" in contents(board)


def test_the_model_that_is_flashed_is_the_one_to_wake_on(server, board):
    board_files.write(board.link(), "/models/hey_jarvis.json", b"{}")
    assert paired(server).wake == "hey_jarvis"
    assert paired(server, wake="okay_nabu").wake == "okay_nabu"


def test_power_cut_at_any_write_leaves_settings_only_with_their_own_key(server, board, monkeypatch):
    paired(server)
    board.save("paired")
    old = contents(board)
    fresh = {}

    def request(code, csr_pem, host, port):
        return enrolled

    enrolled = enrol.Enrolled("attic", old["/certs/ca.der"], b"new certificate", "hub", "127.0.0.1", 1)
    monkeypatch.setattr(enrol, "request", request)
    start = board.writes()
    pair.pair(None, **WHERE, code="unused", port=1)
    total = board.writes() - start
    states = set()
    for cut in range(total):
        board.restore("paired")
        board.cut_after(cut)
        with pytest.raises(Mistake, match="stopped answering"):
            pair.pair(None, **WHERE, code="unused", port=1)
        board.power_cycle()
        fresh = contents(board)
        if "/settings.json" in fresh:
            device = json.loads(fresh["/settings.json"])["device"]
            mates = fresh["/certs/device.der"], fresh["/certs/key.der"]
            if device == "kitchen":
                assert mates == (old["/certs/device.der"], old["/certs/key.der"]), f"a mixture at write {cut}"
            else:
                assert mates[0] == b"new certificate", f"a mixture at write {cut}"
                assert mates[1] != old["/certs/key.der"], f"a mixture at write {cut}"
            states.add(device)
        else:
            states.add("unpaired")
        pair.pair(None, **WHERE, code="unused", port=1)
        mended = contents(board)
        assert set(mended) == set(old)
        assert json.loads(mended["/settings.json"])["device"] == "attic"
    assert states >= {"kitchen", "unpaired"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"password": "short"}, "a Wi-Fi password has 8 to 63 characters"),
        ({"password": "x" * 64}, "a Wi-Fi password has 8 to 63 characters"),
        ({"ssid": ""}, "ssid must be a text of at most 32 characters"),
        ({"ssid": "x" * 33}, "ssid must be a text of at most 32 characters"),
        ({"wake": "../key"}, "wake is the name of a model"),
        ({"code": "not a code"}, "the code has a typing mistake"),
        ({"device": "attic"}, "that code was made for kitchen, not attic"),
        ({"port": 9}, "no answer from 127.0.0.1 port 9"),
    ],
)
def test_a_mistake_is_found_and_nothing_is_written(server, board, changes, says):
    with pytest.raises(Mistake, match=says):
        paired(server, **changes)
    assert contents(board) == {}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LocalHost.", "0.0.0.0", "::"])
def test_a_real_board_is_not_sent_to_itself_for_its_server(server, board, monkeypatch, host):
    link = board.link()
    link.arch = "xtensawin"
    monkeypatch.setattr(pair, "connect", lambda _: nullcontext(link))
    with pytest.raises(Mistake, match="is the board itself: give --server this machine's address"):
        paired(server, host=host)
    assert contents(board) == {}
    assert enrol.FILE in {path.name for path in server.state.iterdir()}, "the code was spent"


@pytest.mark.parametrize("host", ["192.168.1.20", "fd00::2", "hub.lan", "localhost.example"])
def test_an_address_that_others_can_reach_is_taken(host):
    assert not pair.only_here(host)


def test_a_bad_password_does_not_spend_the_code(server, board):
    code = enrol.mint(server.authority, "kitchen")
    with pytest.raises(Mistake):
        pair.pair(None, **{**WHERE, "password": "short"}, code=code, port=server.port)
    assert pair.pair(None, **WHERE, code=code, port=server.port).device == "kitchen"


@pytest.mark.parametrize(
    ("text", "want"),
    [("hub", ("hub", 8443)), ("hub:9", ("hub", 9)), ("[fe80::1]:9", ("fe80::1", 9)), ("[fe80::1]", ("fe80::1", 8443))],
)
def test_an_address_has_a_host_and_perhaps_a_port(text, want):
    assert pair.address(text) == want


@pytest.mark.parametrize("text", ["", ":9", "hub:", "hub:x", "hub:0", "hub:65536"])
def test_a_bad_address_is_said(text):
    with pytest.raises(Mistake, match="is no address: write HOST or HOST:PORT"):
        pair.address(text)


def test_the_password_comes_from_a_file_stdin_or_the_environment_never_from_an_argument(tmp_path, monkeypatch):
    (tmp_path / "wifi").write_text("correct horse\n")
    assert pair.wifi_password(str(tmp_path / "wifi")) == "correct horse"
    monkeypatch.setattr(sys, "stdin", io.StringIO("from stdin\n"))
    assert pair.wifi_password("-") == "from stdin"
    monkeypatch.setenv(pair.PASSWORD, "from the environment")
    assert pair.wifi_password(None) == "from the environment"
    with pytest.raises(Mistake, match="cannot read the password from"):
        pair.wifi_password(str(tmp_path / "none"))


def test_with_nobody_to_ask_the_missing_flag_is_named(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.delenv(pair.PASSWORD, raising=False)
    with pytest.raises(Mistake, match="nobody is there to ask: give --password-file or SOURDINE_WIFI_PASSWORD"):
        pair.wifi_password(None)
