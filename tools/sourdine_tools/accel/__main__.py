"""`make accel`: writes build/accel/PROCESSOR/accel.mpy for every processor that the firmware runs on."""

import sys
from pathlib import Path

from sourdine_board.mistake import Mistake
from sourdine_tools import accel
from sourdine_tools.release import ARCHES, digest


def main(folder: Path = Path("build/accel")) -> int:
    try:
        for arch in ARCHES.values():
            path = folder / arch / "accel.mpy"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(accel.mpy(arch))
            print(f"{path}  {path.stat().st_size} bytes  sha256 {digest(path.read_bytes())}")
    except Mistake as mistake:
        print(mistake, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
