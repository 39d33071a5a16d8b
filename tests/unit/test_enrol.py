"""A code works once, for a while, for one name, and only at the server that made it."""

import json
import socket
import ssl
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from household import Household, csr, key_bytes, new_key, odd_server
from sourdine_board.mistake import Mistake
from sourdine_tools.server import Server, enrol, serving


@pytest.fixture
def house(tmp_path):
    return Household(tmp_path)


@pytest.fixture
def server(house):
    said = []
    with serving(Server(house.state, announce=said.append)) as server:
        server.said = said
        yield server


def ask(server, code, request=None):
    return enrol.request(code, request or csr(new_key()), "127.0.0.1", server.port)


def test_a_code_gives_a_certificate_under_the_servers_own_name_for_the_speaker(house, server):
    key = new_key()
    enrolled = ask(server, enrol.mint(house.authority, "kitchen"), csr(key, name="admin"))
    certificate = x509.load_der_x509_certificate(enrolled.cert_der)
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == enrolled.device == "kitchen"
    assert certificate.public_key() == key.public_key()
    assert house.authority.device(enrolled.cert_der).name == "kitchen"
    assert (enrolled.server_name, enrolled.port) == ("hub.sourdine.internal", server.port)
    ca = x509.load_der_x509_certificate(enrolled.ca_der)
    certificate.verify_directly_issued_by(ca)
    assert server.said == ["enrolled kitchen"]


def test_a_code_works_once(house, server):
    code = enrol.mint(house.authority, "kitchen")
    ask(server, code)
    with pytest.raises(Mistake, match="no valid code"):
        ask(server, code)


def test_a_newer_code_voids_the_older(house, server):
    old, new = enrol.mint(house.authority, "kitchen"), enrol.mint(house.authority, "study")
    with pytest.raises(Mistake, match="another was made"):
        ask(server, old)
    assert ask(server, new).device == "study"


def test_a_code_dies_with_the_fifth_wrong_try(house, server):
    wrong = enrol.mint(house.authority, "kitchen")
    right = enrol.mint(house.authority, "kitchen")
    for _ in range(enrol.ATTEMPTS):
        with pytest.raises(Mistake, match="wrong"):
            ask(server, wrong)
    with pytest.raises(Mistake, match="no valid code"):
        ask(server, right)
    assert house.authority.devices() == {}


def test_a_code_grows_old(house, server, monkeypatch):
    monkeypatch.setattr(enrol, "LIFE_S", -1)
    with pytest.raises(Mistake, match="too old"):
        ask(server, enrol.mint(house.authority, "kitchen"))


def test_the_secret_is_not_on_the_disk(house):
    code = enrol.mint(house.authority, "kitchen")
    secret, fingerprint = enrol.parse(code)
    assert len(secret) * 8 >= 80 and len(fingerprint) * 8 >= 128
    path = house.state / "code.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret.hex() not in path.read_text() and code not in path.read_text()
    assert house.authority.fingerprint.startswith(fingerprint)


def test_a_typing_mistake_is_found_before_it_costs_a_try(house):
    code = enrol.mint(house.authority, "kitchen")
    assert enrol.parse(code.lower().replace("-", " ")) == enrol.parse(code)
    for wrong in ("", "hello", code[:-1], code + "AAAA", code[5:], ("A" if code[0] != "A" else "B") + code[1:]):
        with pytest.raises(Mistake, match="typing mistake"):
            enrol.parse(wrong)


def test_a_server_that_did_not_make_the_code_learns_nothing(house, server, tmp_path):
    elsewhere = Household(tmp_path / "elsewhere")
    with pytest.raises(Mistake, match="not the server that made the code"):
        ask(server, enrol.mint(elsewhere.authority, "kitchen"))
    assert server.said == []


def relay(house, tmp_path, answers, **options):
    """A server of TLS that answers each connection with the next line; returns its port and what it was told."""
    context = odd_server(house, tmp_path / "odd", **options)
    listener = socket.create_server(("127.0.0.1", 0))
    told = []

    def run():
        with listener:
            for answer in answers:
                raw, _ = listener.accept()
                try:
                    with context.wrap_socket(raw, server_side=True) as tls:
                        told.append(tls.recv(16_384))
                        tls.sendall(answer)
                except OSError:
                    raw.close()

    import threading

    threading.Thread(target=run, daemon=True).start()
    return listener.getsockname()[1], told


def test_a_man_in_the_middle_who_shows_our_ca_does_not_get_the_secret(house, tmp_path):
    thief = Household(tmp_path / "thief").authority
    ours = json.dumps({"ca": house.authority.ca_pem.decode()}).encode() + b"\n"
    port, told = relay(house, tmp_path, [ours, b"{}\n"], ca=thief)
    with pytest.raises(Mistake, match="not the server that made the code"):
        enrol.request(enrol.mint(house.authority, "kitchen"), csr(new_key()), "127.0.0.1", port)
    assert [json.loads(line) for line in told] == [{"ask": "ca"}]


@pytest.mark.parametrize(
    "answer", [b"", b"\n", b"[]\n", b"{}\n", b"x" * 100_000, b'{"ca": "no certificate"}\n', b"\xff\n"]
)
def test_a_server_that_answers_nonsense_is_named(house, tmp_path, answer):
    port, _ = relay(house, tmp_path, [answer])
    with pytest.raises(Mistake, match="not a Sourdine server|not the server that made"):
        enrol.request(enrol.mint(house.authority, "kitchen"), csr(new_key()), "127.0.0.1", port)


def test_a_server_that_is_not_proven_yet_cannot_steer_the_terminal(house, tmp_path):
    port, _ = relay(house, tmp_path, [json.dumps({"error": "\x1b[2Jall\nis\u202ewell"}).encode() + b"\n"])
    with pytest.raises(Mistake) as caught:
        enrol.request(enrol.mint(house.authority, "kitchen"), csr(new_key()), "127.0.0.1", port)
    assert str(caught.value) == "the server says: [2Jalliswell"


def test_nobody_there_is_said_in_one_line(house):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Mistake, match="no answer from 127.0.0.1 port"):
        enrol.request(enrol.mint(house.authority, "kitchen"), csr(new_key()), "127.0.0.1", port)


def weak():
    return csr(ec.generate_private_key(ec.SECP384R1()))


def forged():
    """A request whose signature is of another key."""
    good = csr(new_key())
    der = bytearray(x509.load_pem_x509_csr(good).public_bytes(_der()))
    der[-1] ^= 1
    import base64

    return (
        b"-----BEGIN CERTIFICATE REQUEST-----\n"
        + base64.encodebytes(bytes(der))
        + b"-----END CERTIFICATE REQUEST-----\n"
    )


def _der():
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.DER


@pytest.mark.parametrize("request_", [b"nonsense", weak(), forged(), key_bytes(new_key(), _der()).hex().encode()])
def test_a_request_that_cannot_be_signed_costs_no_code(house, server, request_):
    code = enrol.mint(house.authority, "kitchen")
    with pytest.raises(Mistake, match="cannot be used"):
        ask(server, code, request_)
    assert ask(server, code).device == "kitchen"


def speak(server, data):
    """What the server answers a peer without certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", server.port), 5) as raw,
        context.wrap_socket(raw, server_hostname="x") as tls,
    ):
        answer = b""
        try:
            tls.sendall(data)
            while piece := tls.recv(4096):
                answer += piece
        except (ssl.SSLError, ConnectionError):
            pass
        return answer


def test_a_peer_without_certificate_can_do_nothing_else(house, server):
    from sourdine import wire

    hello = wire.encode(wire.HELLO, 0, 0, wire.VERSION, 0, 0, 0, bytes(32))
    for data in (
        hello + b"\n",
        b"\n",
        b"[1]\n",
        b"[" * 60_000 + b"\n",
        b"x" * 200_000 + b"\n",
        b"\xff\xfe\n",
        b"GET /\n",
    ):
        assert speak(server, data) == b"", data[:20]
    assert json.loads(speak(server, b'{"ask": "audio"}\n')) == {"error": "what?"}
    assert json.loads(speak(server, b'{"ask": "certificate"}\n'))["error"].startswith("there is no valid code")
    enrol.mint(house.authority, "kitchen")
    for question in ({}, {"secret": 5, "csr": 5}, {"secret": "zz", "csr": ""}, {"secret": ["00"], "csr": None}):
        answer = speak(server, json.dumps({"ask": "certificate"} | question).encode() + b"\n")
        assert json.loads(answer) == {"error": "what?"}
    assert not server.conversations
