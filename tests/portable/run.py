"""Run the portable tests on MicroPython, from the repository root:

micropython tests/portable/run.py            the desktop's
mpremote mount . run tests/portable/run.py   the chip's

Prints one line for each module; exit status 1 if a test failed.
"""

import os
import sys

FOLDER = "tests/portable"
sys.path[:0] = [FOLDER, "firmware"]
failed = 0
for file in sorted(os.listdir(FOLDER)):
    if not (file.startswith("test_") and file.endswith(".py")):
        continue
    module = __import__(file[:-3])
    passed = 0
    for name in sorted(dir(module)):
        if not name.startswith("test_"):
            continue
        try:
            getattr(module, name)()
            passed += 1
        except Exception as error:  # noqa: BLE001  whatever a test raises, the others run
            failed += 1
            print("FAILED", file, name)
            sys.print_exception(error)
    print(file, passed, "passed")
sys.exit(1 if failed else 0)
