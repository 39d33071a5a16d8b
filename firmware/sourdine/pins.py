"""GPIO by role. Written by `sourdine pins` from board/sourdine_board/circuit.py; do not edit."""

import sys

PROFILES = {
    "ESP32S3": (4, 5, 6, 7, 15, 16, 17, 18, 1, 2, 21, 10, 11, 12),
    "ESP32": (26, 25, 33, 4, 18, 19, 23, 22, 34, 35, 32, 27, 13, 14),
}


def profile(machine):
    """`sys.implementation._machine` of stock MicroPython -> key of PROFILES; KeyError for a chip we have no pins for.

    It ends in "with" and the chip: ESP32, ESP32S3, ESP32-S3 (since 1.27), ESP32-PICO-D4, ESP32-S3-FN8 ...
    """
    chip = machine.rsplit(" with ", 1)[-1].replace("-", "")
    for name in PROFILES:
        if chip == name or chip.startswith((name + "PICO", name + "FN", name + "FH")):
            return name
    raise KeyError("no pins for " + chip)


# A desktop has no pins of its own and imports this module to read or test it: it sees the S3's.
CHIP = profile(sys.implementation._machine) if sys.platform == "esp32" else "ESP32S3"
(
    MIC_SCK,
    MIC_WS,
    MIC_SD,
    HB,
    AMP_BCLK,
    AMP_LRC,
    AMP_DIN,
    AMP_SD,
    MIC_SENSE,
    SW_SENSE,
    LED,
    BTN_ACT,
    BTN_UP,
    BTN_DN,
) = PROFILES[CHIP]
