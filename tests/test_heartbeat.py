"""docs/heartbeat.md has a line for every call of the firmware that may wait, and none for a call that is gone."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FIRMWARE = sorted((ROOT / "firmware/sourdine").glob("*.py"))
TABLE = (ROOT / "docs/heartbeat.md").read_text().partition("## Every call that may wait")[2].partition("\n## ")[0]

# What C may stay in, by name, whatever object it belongs to.
DEVICES = "readinto write sleep sleep_ms sleep_us bitstream read_uv read_u16 WDT idle deepsleep lightsleep"
NETWORK = "recv_into recv send sendall accept getaddrinfo poll ipoll select wrap_socket do_handshake"
RADIO = "isconnected active disconnect config scan"
FLASH = "set_blob get_blob erase_key commit open read readline load loads dump mount umount mkfs sync remove rename"
REST = "collect print input update wait_for"
WAITS = {*DEVICES.split(), *NETWORK.split(), *RADIO.split(), *FLASH.split(), *REST.split()}
CONNECTS = {"connect", "close"}  # common words: only where a device or a socket is meant
# Calls of the platform's modules that only look, or set something up.
QUICK = {
    *("machine.freq", "machine.Timer", "machine.RTC", "machine.RTC().datetime", "time.ticks_us", "time.gmtime"),
    *("select.poll", "socket.socket", "ssl.SSLContext", "os.urandom", "esp32.NVS", "network.WLAN"),
}
PLATFORM = {"machine", "time", "select", "socket", "gc", "esp32", "network", "os", "ssl"}
# Methods of our own parts, which are read where they are made.
OURS = {"app.turn:read", "app.__init__:load", "mic.read:readinto", "speaker.step:write", "talk.begin:open"}
# The chip's name; loading a model, and its tensors' own read(), write(): memory, at boot.
LOADS = {"pins", "flatbuffer", "graph", "layers", "operators", "plan", "quantize", "tables", "tflite", "verifier"}
TEXT = {"_tone", "main"}  # functions that end before there is a heartbeat, or after it


def calls(path):
    """(where, name) of each call in a module's functions that may wait."""
    tree = ast.parse(path.read_text())
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        if function.name in TEXT:
            continue
        for node in ast.walk(function):
            if not isinstance(node, ast.Call):
                continue
            text, where = ast.unparse(node.func), f"{path.stem}.{function.name}"
            name = text.rpartition(".")[2]
            device = name in CONNECTS and path.stem in ("hardware", "uplink")
            platform = text.partition(".")[0] in PLATFORM and "." in text
            own = text.startswith("self.") and text.count(".") == 1 or f"{where}:{name}" in OURS or text in QUICK
            if (name in WAITS or device or platform) and not own:
                yield where, name


FOUND = {call for path in FIRMWARE if path.stem not in LOADS for call in calls(path)}


def lines():
    """(places, names) of each line of the table; a place without a function is a whole module."""
    for line in TABLE.splitlines():
        cells = line.split("|")
        if line.startswith("|") and len(cells) == 7 and "---" not in line:
            yield re.findall(r"`([^`]+)`", cells[2]), re.findall(r"`([^`]+)`", cells[1])


def listed(where, name):
    return any(name in names and (where in places or where.split(".")[0] in places) for places, names in lines())


@pytest.mark.parametrize("call", sorted(FOUND), ids=":".join)
def test_every_call_that_may_wait_has_its_line(call):
    assert listed(*call)


def test_no_line_speaks_of_a_call_that_is_gone():
    for places, names in lines():
        for name in names:
            assert any(
                found == name and (where in places or where.split(".")[0] in places) for where, found in FOUND | BESIDE
            ), f"{name} in {places}"


BESIDE = {("app.turn", "feed")}  # handed over by name


@pytest.mark.parametrize(
    "source",
    ["def f(self):\n    self._nvs.commit()", "def f():\n    time.sleep_ms(5)", "def f():\n    machine.lightsleep(9)"],
)
def test_a_new_call_is_seen(tmp_path, source):
    path = tmp_path / "gate.py"
    path.write_text(source)
    [call] = calls(path)
    assert not listed(*call)
