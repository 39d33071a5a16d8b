"""The firmware's uplink on MicroPython's unix port, told line by line what to do; see test_uplink.py.

argv: folder with ca.der, device.der, key.der and the ledger's blob; port of the server.
Each line of stdin is an expression over `chip`; its value comes back as one line of JSON.
"""

import json
import sys
import time
from array import array

sys.path.insert(0, "firmware")

from sourdine import spec, wire  # noqa: F401
from sourdine.ledger import Ledger
from sourdine.uplink import Uplink

folder = sys.argv[1]


def read(name):
    with open(folder + "/" + name, "rb") as file:
        return file.read()


class Settings:
    host = "127.0.0.1"
    port = int(sys.argv[2])
    name = "hub.sourdine.internal"
    ca, certificate, key = read("ca.der"), read("device.der"), read("key.der")


class Store:
    def get_blob(self, key, buffer):
        try:
            blob = read(key)
        except OSError:
            raise OSError(-0x1102)
        buffer[: len(blob)] = blob
        return len(blob)

    def set_blob(self, key, value):
        self.blob = bytes(value)

    def commit(self):
        with open(folder + "/state", "wb") as file:
            file.write(self.blob)


class Chip:
    def __init__(self):
        self.log = []
        self.played = b""
        self.open = False
        self.ledger = Ledger(Store())
        self.up = Uplink(Settings, self.ledger, time, self)

    # what the uplink tells the app
    def link(self, up):
        self.log.append("up" if up else "down")
        if not up:
            self.shut(spec.LINK)

    def drop(self):
        self.log.append("drop")

    def server_closed(self):
        self.log.append("closed")
        self.shut(spec.SERVER)

    def play(self, data):
        self.played += bytes(data)
        self.up.credit(len(data))
        return True

    def play_end(self):
        self.log.append("play_end")

    def set_time(self, unix):
        self.log.append("time")

    # what the test tells the chip
    def shut(self, reason):
        was, self.open = self.open, False
        if was:
            if reason not in (spec.SILENCE, spec.CAP):
                self.up.discard()
            self.up.end(reason)

    def run(self, ms, until=None):
        """Turn the loop for so long, or until something is true; returns the ms that passed."""
        since = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), since) < ms and not (until and until()):
            self.up.step(time.ticks_ms())
            time.sleep_ms(1)
        return time.ticks_diff(time.ticks_ms(), since)

    def wake(self):
        self.open = self.up.begin(0)
        return self.open

    def talk(self, blocks, first=0, pause_ms=1):
        """Offer blocks of a pattern; returns how many were taken."""
        for number in range(blocks):
            block = array("h", [(first + number) * 160 + i & 0x7FFF for i in range(160)])
            if not self.up.audio(block):
                return number
            self.run(pause_ms)
        return blocks

    def state(self):
        book = self.ledger
        return {
            "linked": self.up.linked,
            "error": self.up.error,
            "log": self.log,
            "sessions": book.sessions,
            "bytes": book.bytes,
            "head": book.head.hex(),
            "pending": book.pending,
            "played": len(self.played),
            "connections": self.up.connections,
        }


chip = Chip()
print("ready")
while True:
    line = sys.stdin.readline()
    if not line:
        break
    print(json.dumps(eval(line)))
