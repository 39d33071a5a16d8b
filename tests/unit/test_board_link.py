"""Every way a board fails to answer says what to do next."""

import contextlib
import fcntl
import os
import pty
import threading
from types import SimpleNamespace

import pytest
from mpremote.transport import TransportError, TransportExecError

from sourdine_board.mistake import Mistake
from sourdine_tools import bare_chip, board_link
from sourdine_tools.board_link import BoardFull, Link, connect, find_port


class Says:
    """A transport that answers every script with the same text, or raises."""

    def __init__(self, answer):
        self.answer = answer

    def exec(self, command):
        if isinstance(self.answer, Exception):
            raise self.answer
        return repr(self.answer).encode()


def identified(name="micropython", version=(1, 27, 0), arch=10, machine="Generic ESP32S3 module with ESP32S3"):
    link = Link(Says((name, version, arch, machine)), "/dev/ttyACM0")
    link.identify()
    return link


def usb(*devices, serial=()):
    ports = [SimpleNamespace(device=device, vid=0x303A) for device in devices]
    return [*ports, *(SimpleNamespace(device=device, vid=None) for device in serial)]


def plugged(monkeypatch, ports):
    monkeypatch.setattr(board_link.serial.tools.list_ports, "comports", lambda: ports)


def test_the_only_usb_port_is_found_among_other_serial_ports(monkeypatch):
    plugged(monkeypatch, usb("/dev/ttyACM0", serial=["/dev/ttyS0", "/dev/ttyS1"]))
    assert find_port() == "/dev/ttyACM0"


def test_no_port_says_to_plug_the_board_in(monkeypatch):
    plugged(monkeypatch, usb(serial=["/dev/ttyS0"]))
    with pytest.raises(Mistake, match="^no board found: plug it in with a USB cable that carries data"):
        find_port()


def test_several_ports_are_named_and_one_is_asked_for(monkeypatch):
    plugged(monkeypatch, usb("/dev/ttyUSB1", "/dev/ttyACM0"))
    with pytest.raises(
        Mistake, match=r"^2 boards are plugged in \(/dev/ttyACM0, /dev/ttyUSB1\): choose one with --port"
    ):
        find_port()


def test_a_port_that_is_not_there_is_said():
    with pytest.raises(Mistake, match="^there is no port /dev/ttyNONE: leave --port away"), connect("/dev/ttyNONE"):
        pass


def test_a_file_is_not_a_port(tmp_path):
    (tmp_path / "port").touch()
    with pytest.raises(Mistake, match="is not a serial port"), connect(str(tmp_path / "port")):
        pass


@pytest.mark.parametrize("port", ["/dev/null", "/dev"])
def test_a_device_or_folder_that_is_no_serial_port_is_not_called_busy(port):
    with pytest.raises(Mistake, match=f"^{port} is not a serial port: leave --port away"), connect(port):
        pass


def test_a_forbidden_port_names_the_group_that_may_use_it(monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(board_link.os, "open", refuse)
    assert "run `sudo usermod -aG root $USER`" in board_link.why_closed("/dev/null")
    assert board_link.why_closed("/dev/null").startswith("no permission to use /dev/null")


@pytest.fixture
def wire(monkeypatch):
    """A tty and the end of it that plays the chip; waits are cut short."""
    monkeypatch.setattr(board_link, "READ_S", 0.05)
    monkeypatch.setattr(board_link, "ENTER_S", (0.1,))
    monkeypatch.setattr(board_link, "LISTEN_S", 0.1)
    chip, tty = pty.openpty()
    yield SimpleNamespace(chip=chip, tty=tty, port=os.ttyname(tty))
    os.close(tty)
    os.close(chip)


def test_a_port_in_use_names_the_remedy(wire):
    fcntl.flock(wire.tty, fcntl.LOCK_EX)
    with pytest.raises(Mistake, match="is in use by another program: close it"), connect(wire.port):
        pass


@contextlib.contextmanager
def booting_forever(chip, banner):
    """The ROM finds no program and tries again and again."""
    done = threading.Event()

    def boot():
        while not done.wait(0.05):
            with contextlib.suppress(BlockingIOError):  # nobody reads just now
                os.write(chip, banner)

    os.set_blocking(chip, False)
    thread = threading.Thread(target=boot)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


ROM_S3 = b"ESP-ROM:esp32s3-20210327\r\nBuild:Mar 27 2021\r\nrst:0x1 (POWERON)\r\ninvalid header: 0xffffffff\r\n"
ROM_ESP32 = b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x10 (RTCWDT_RTC_RESET)\r\ninvalid header: 0xffffffff\r\n"


@pytest.mark.parametrize(
    ("banner", "chip", "offset", "page"),
    [(ROM_S3, "esp32s3", "0x0", "ESP32_GENERIC_S3"), (ROM_ESP32, "esp32", "0x1000", "ESP32_GENERIC")],
    ids=["S3", "ESP32"],
)
def test_a_bare_chip_gets_its_exact_esptool_lines(wire, banner, chip, offset, page):
    with booting_forever(wire.chip, banner), pytest.raises(Mistake) as caught, connect(wire.port):
        pass
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"{wire.port} is a chip without MicroPython: install it once (this erases the chip)")
    assert f"  python3 -m esptool --chip {chip} --port {wire.port} erase_flash" in lines
    assert (
        f"  python3 -m esptool --chip {chip} --port {wire.port} --baud 460800 write_flash {offset} FIRMWARE.bin"
        in lines
    )
    assert any(f"micropython.org/download/{page}" in line and "1.24" in line for line in lines)
    assert any("checksum" in line and "sha256sum FIRMWARE.bin" in line for line in lines)


def test_a_silent_port_gets_the_lines_of_both_chips(wire):
    with (
        pytest.raises(Mistake, match="^nothing on .* answers as MicroPython does: check") as caught,
        connect(wire.port),
    ):
        pass
    assert "write_flash 0x0 " in str(caught.value)
    assert "write_flash 0x1000 " in str(caught.value)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("ESP-ROM:esp32c3-api1-20210207\r\ninvalid header", "is an ESP32C3: this firmware runs on ESP32-S3 and ESP32"),
        (
            "ESP-ROM:esp32s3-2021\r\nwaiting for download",
            "waits in its bootloader: press its reset button without BOOT",
        ),
        ("ets Jun  8 2016\r\nrst:0x1\r\nHello from Arduino", "runs another program than MicroPython: install it once"),
        ("rst:0x1 (POWERON)\r\nsourdine 0.1.0: ready\r\n", "runs MicroPython but does not listen: press its reset"),
        ("MicroPython v1.27.0 on 2026; ESP32S3\r\n>>> ", "runs MicroPython but does not listen: press its reset"),
    ],
)
def test_what_the_port_says_decides_the_advice(said, answer):
    assert answer in bare_chip.explain("/dev/ttyUSB0", said)


def test_a_chip_that_is_not_built_for_is_refused():
    with pytest.raises(Mistake, match="is a Raspberry Pi Pico with RP2040: this firmware runs on"):
        identified(arch=4, machine="Raspberry Pi Pico with RP2040")


def test_an_old_micropython_is_refused_with_the_way_to_a_newer_one():
    with pytest.raises(Mistake, match=r"runs MicroPython 1\.23\.1, 1\.24 or later is needed") as caught:
        identified(version=(1, 23, 1))
    assert "--chip esp32s3" in str(caught.value)
    assert identified(version=(1, 24, 0)).arch == "xtensawin"


def test_circuitpython_is_not_micropython():
    with pytest.raises(Mistake, match="runs circuitpython, not MicroPython"):
        identified(name="circuitpython", version=(9, 2, 0))


@pytest.mark.parametrize(("code", "arch"), [(2, "x64"), (10, "xtensawin"), (11, "rv32imc")])
def test_the_board_names_its_own_architecture(code, arch):
    assert identified(arch=code).arch == arch


@pytest.mark.parametrize("trouble", [TransportError("timeout"), OSError(5, "Input/output error")])
def test_a_cable_pulled_half_way_says_to_run_again(trouble):
    with pytest.raises(Mistake, match="^/dev/x stopped answering: check the cable .* then run this again$"):
        Link(Says(trouble), "/dev/x").run("pass")


@pytest.mark.parametrize("text", ["OSError: [Errno 28] ENOSPC", "OSError: 28"])
def test_a_full_flash_says_what_to_remove(text):
    with pytest.raises(BoardFull, match="is full: remove files of your own"):
        Link(Says(TransportExecError(0, f"Traceback:\r\n{text}\r\n")), "/dev/x").run("pass")


def test_another_error_on_the_board_is_quoted():
    with pytest.raises(Mistake, match=r"refused a step \(OSError: \[Errno 5\] EIO\): press its reset"):
        Link(Says(TransportExecError(0, "Traceback:\r\nOSError: [Errno 5] EIO\r\n")), "/dev/x").run("pass")


def speak(wire, *words):
    """The board's reboot, as heard after `reset`."""
    transport = board_link._open(wire.port)
    for word in words:
        os.write(wire.chip, word)
    return transport


def test_the_programs_first_line_ends_the_reset(wire):
    transport = speak(wire, b"rst:0xc (SW_CPU_RESET)\r\nload:0x3fce", b"3808\r\nsourdine 0.1.0: rea", b"dy\r\n")
    assert board_link.first_words(transport, wire.port, 5) == "sourdine 0.1.0: ready"


def test_a_program_that_stops_is_quoted(wire):
    text = (
        b'Traceback (most recent call last):\r\n  File "main.py"\r\nImportError: no module\r\nMicroPython v1.27\r\n>>> '
    )
    transport = speak(wire, text)
    with pytest.raises(Mistake, match="^the program on .* stopped: ImportError: no module$"):
        board_link.first_words(transport, wire.port, 5)


def test_a_board_that_says_nothing_is_back_all_the_same(wire):
    assert board_link.first_words(speak(wire), wire.port, 0.1) == ""


def test_a_board_that_never_comes_back_is_said(wire):
    chip, tty = pty.openpty()
    port = os.ttyname(tty)
    transport = board_link._open(port)
    os.close(chip)
    os.close(tty)
    with pytest.raises(Mistake, match="did not come back after the reset"):
        board_link.first_words(transport, port, 0.2)


def test_a_cable_pulled_while_entering_is_a_mistake_too(wire):
    chip, tty = pty.openpty()
    port = os.ttyname(tty)
    threading.Timer(0.05, lambda: (os.close(chip), os.close(tty))).start()
    with pytest.raises(Mistake), connect(port):
        pass
