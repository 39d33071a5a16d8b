"""A board for the tests of flash, verify and pair: real MicroPython and real littlefs, no serial port.

The unix port runs tests/ramboard_chip.py in a process of its own; scripts go in and answers come out, as
through mpremote's transport. The flash is in RAM and can lose its power after any chosen write.
"""

import json
import subprocess
import sys
from pathlib import Path

from mpremote.transport import TransportError, TransportExecError

from sourdine_tools.board_link import Link

CHIP = Path(__file__).with_name("ramboard_chip.py")
LAUNCH = "import sys, micropython_unix; micropython_unix.run_main(['micropython', '-X', 'heapsize=16M', *sys.argv[1:]])"


class RamBoard:
    """`exec` as mpremote's Transport has it; `power_cycle` forgets all but the flash."""

    def __init__(self, blocks: int = 128):
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(CHIP), str(blocks)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.powered = True

    def ask(self, *request):
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def exec(self, command: str) -> bytes:
        if not self.powered:
            raise TransportError("timeout waiting for first EOF reception")
        said, error, self.powered = self.ask("exec", command)
        if not self.powered:
            raise TransportError("timeout waiting for first EOF reception")
        if error:
            raise TransportExecError(said.encode(), error)
        return said.encode()

    def cut_after(self, writes: int | None):
        """Lose power in place of the write (or erase) after `writes` more of them; None: never."""
        self.ask("cut", writes)

    def writes(self) -> int:
        """Writes and erases since the last power cycle."""
        return self.ask("writes")

    def power_cycle(self):
        self.ask("power")
        self.powered = True

    def save(self, name: str):
        """Keep a copy of the flash for `restore`."""
        self.ask("save", name)

    def restore(self, name: str):
        self.ask("restore", name)
        self.powered = True

    def image(self) -> bytes:
        """The flash, as a dump of its partition."""
        return bytes.fromhex(self.ask("image"))

    def link(self) -> Link:
        link = Link(self, "/dev/ttyTEST")
        link.identify()
        return link

    def close(self):
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
