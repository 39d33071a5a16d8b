"""The twin's Wi-Fi: what a program can send, when, and what TLS believes of the board's clock."""

import datetime
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rig import Rig, event, kinds

DIAL = """
import errno, network, socket
wlan = network.WLAN(network.WLAN.IF_STA)

def join():
    wlan.active(True)
    wlan.connect("house", "secret")
    while not wlan.isconnected():
        time.sleep_ms(50)

def dial(port):
    s = socket.socket()
    s.connect(socket.getaddrinfo("127.0.0.1", port)[0][-1])
    return s
"""


class Echo(threading.Thread):
    """A server that answers each message with its length, after a while of the host's time."""

    def __init__(self, delay_s: float = 0.0, context: ssl.SSLContext | None = None) -> None:
        super().__init__(daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._delay_s, self._context = delay_s, context
        self.received: list[bytes] = []  # one for each connection
        self.ended = threading.Event()  # the first connection is over
        self.start()

    def run(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            self.received.append(b"")
            try:
                if self._context:
                    connection = self._context.wrap_socket(connection, server_side=True)
                while data := connection.recv(65536):
                    self.received[-1] += data
                    time.sleep(self._delay_s)
                    connection.sendall(b"%8d" % len(data))
            except OSError:
                pass
            connection.close()
            self.ended.set()


def test_a_slow_server_costs_no_time_on_the_virtual_clock(tmp_path):
    server = Echo(delay_s=0.3)
    main = f"""
    join()
    s = dial({server.port})
    started = time.ticks_ms()
    for _ in range(3):
        s.write(b"hello")
        s.read(8)
    tell(time.ticks_diff(time.ticks_ms(), started))
    """
    with Rig(tmp_path, main, before=DIAL) as rig:
        board = rig.play(5.0)
        ((took_ms,),) = rig.told()
        sockets = [(at["op"], at.get("bytes")) for at in kinds(board, "socket")]
    assert took_ms < 10
    assert sockets == [("connect", None), *[("tx", 5), ("rx", 8)] * 3]


def test_a_dead_server_costs_its_time_once(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        main = f"""
        join()
        s = dial({silent.getsockname()[1]})
        s.setblocking(False)
        for _ in range(100):
            s.write(b"anybody?")
            time.sleep_ms(50)
        tell(s.read(1))
        """
        started = time.monotonic()
        with Rig(tmp_path, main, before=DIAL) as rig:
            rig.play(8.0)
            assert rig.told() == [[None]]
    assert 5 <= time.monotonic() - started < 10


def test_a_pulled_cable_loses_nothing_and_a_radio_switched_off_loses_all(tmp_path):
    server = Echo()
    main = f"""
    join()
    a, b = dial({server.port}), dial({server.port})
    for s in (a, b):
        s.setblocking(False)
    def say(s, what):
        n = s.write(what)
        return n
    time.sleep_ms(2000 - time.ticks_ms())
    tell(say(a, b"first"), wlan.isconnected())
    tell(say(a, bytes(9000)), say(a, b"x"))  # lwIP holds so much and no more
    time.sleep_ms(2000)
    tell(a.read(8))
    time.sleep_ms(500)
    say(b, b"late")
    wlan.active(False)
    try:
        b.write(b"more")
    except OSError as error:
        tell(error.errno == errno.ECONNRESET, wlan.isconnected())
    """
    rest = event(1.9, "cable_out") + event(3.0, "cable_in") + event(4.2, "cable_out") + event(6.0, "cable_in")
    with Rig(tmp_path, main, before=DIAL) as rig:
        rig.play(7.0, rest)
        told = rig.told()
    assert told[:2] == [[5, True], [5739, None]]
    assert told[3] == [True, False]
    assert [len(received) for received in server.received] == [5744, 0]


ROOMS = Path(__file__).parents[2] / "firmware/sourdine"


def test_our_wifi_starts_whatever_the_radio_was_doing_before(tmp_path):
    """A soft reset leaves the radio as it was; while it tries to connect it takes no login."""
    main = """
    from sourdine.hardware import Wifi
    join()
    Wifi(wlan, "house", "secret")
    try:
        wlan.connect("house", "secret")
    except OSError as error:
        tell(str(error))
    wifi = Wifi(wlan, "house", "secret")
    tell(wifi.connected())
    time.sleep_ms(2000)
    tell(wifi.connected())
    """
    files = {f"sourdine/{name}.py": (ROOMS / f"{name}.py").read_text() for name in ("hardware", "pins", "spec", "dsp")}
    files["sourdine/native.py"] = (ROOMS / "native.py").read_text()
    with Rig(tmp_path, main, files, before=DIAL) as rig:
        rig.play(6.0)
        assert rig.told() == [["Wifi Internal State Error"], [False], [True]]


def test_a_name_that_nobody_resolves_holds_the_program_up_and_a_number_does_not(tmp_path):
    main = """
    join()
    for host in ("10.0.0.1", "hub.home"):
        started = time.ticks_ms()
        try:
            address = socket.getaddrinfo(host, 8443)[0][-1]
        except OSError as error:
            address = error.errno
        tell(address, time.ticks_diff(time.ticks_ms(), started) // 1000)
    """
    with Rig(tmp_path, main, before=DIAL) as rig:
        rig.play(12.0, event(0.1, "cable_out"))
        assert rig.told() == [[["10.0.0.1", 8443], 0], [-202, 7]]


def test_the_station_reconnects_by_itself_when_the_access_point_returns(tmp_path):
    main = """
    join()
    while True:
        tell(time.ticks_ms() // 100, wlan.isconnected())
        time.sleep_ms(500)
    """
    with Rig(tmp_path, main, before=DIAL) as rig:
        rig.play(8.0, event(3.0, "wifi_down") + event(5.0, "wifi_up"))
        up = [connected for at, connected in rig.told() if at > 20]
    assert up == [True, True, *[False] * 6, *[True] * 4] or up == [True] * 2 + [False] * 7 + [True] * 3


def test_without_wifi_nothing_can_be_dialled(tmp_path):
    main = """
    try:
        socket.socket().connect(("127.0.0.1", 9))
    except OSError as error:
        tell(error.errno == errno.EHOSTUNREACH)
    """
    with Rig(tmp_path, main, before=DIAL) as rig:
        rig.play(1.0)
        assert rig.told() == [[True]]


@pytest.fixture
def authority(tmp_path):
    """A server context whose certificate is valid from 2020 on, and its CA as DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2020, 1, 1))
        .not_valid_after(datetime.datetime(2120, 1, 1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hub")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain = tmp_path / "chain.pem"
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain.write_bytes(secret + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context, certificate.public_bytes(serialization.Encoding.DER)


def test_tls_judges_certificates_by_the_boards_clock(tmp_path, authority):
    context, ca = authority
    server = Echo(context=context)
    main = f"""
    import ssl
    join()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata={ca!r})
    for year in (2000, 2019, 2020, 2026, 2121):
        machine.RTC().datetime((year, 6, 1, 0, 0, 0, 0, 0))
        s = dial({server.port})
        try:
            tls = context.wrap_socket(s, server_hostname="hub")
            tls.write(b"hello")
            tell(year, tls.read(8).decode())
        except (OSError, ValueError) as error:
            tell(year, str(error))
        s.close()
    """
    with Rig(tmp_path, main, before=DIAL) as rig:
        rig.play(5.0)
        told = dict(rig.told())
    assert told[2020] == told[2026] == "       5"
    assert "starts in the future" in told[2000]
    assert "starts in the future" in told[2019]
    assert "expired" in told[2121]


def test_time_waits_for_an_answer_to_every_record_of_tls(tmp_path, authority):
    context, ca = authority
    server = Echo(delay_s=0.15, context=context)
    main = f"""
    import ssl
    join()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata={ca!r})
    machine.RTC().datetime((2026, 6, 1, 0, 0, 0, 0, 0))
    s = dial({server.port})
    tls = context.wrap_socket(s, server_hostname="hub")
    s.setblocking(False)
    for message in (b"one", b"three", b"fifteen"):
        tls.write(message)
    time.sleep_ms(2)
    tell([tls.read(8).decode().strip() for _ in range(3)])
    """
    with Rig(tmp_path, main, before=DIAL) as rig:
        rig.play(5.0)
        assert rig.told() == [[["3", "5", "7"]]]
