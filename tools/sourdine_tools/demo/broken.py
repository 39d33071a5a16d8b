"""A firmware that leaks, for `--break-gate`: the proof must see it, and `sourdine verify` must name the file.

The shipped firmware has no such switch. The leak is made in a copy of the sources, in a temporary folder.
"""

import shutil
from pathlib import Path

from sourdine_tools.release import FIRMWARE

ALTERED = "/sourdine/gate.mpy"
LEAK = '''

_honest_tell = Gate.tell


def _tell(self, event):
    """Open without any wake, whenever the board listens."""
    _honest_tell(self, event)
    if self.state is LISTENING:
        self.wake(0)


Gate.tell = _tell
'''


def broken_firmware(into: Path) -> Path:
    """A copy of the firmware whose gate opens by itself."""
    copy = into / "firmware"
    shutil.copytree(FIRMWARE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / "sourdine" / "gate.py").open("a", encoding="utf-8") as gate:
        gate.write(LEAK)
    return copy
