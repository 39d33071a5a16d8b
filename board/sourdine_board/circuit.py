"""Rev A of the board as data: parts, nets, pins by role, and how the relay answers its heartbeat.

The only source of these numbers: `firmware/sourdine/pins.py` and the twin's rules are made from it. Part values are
SI (ohm, farad, henry, volt). Nothing here was measured on hardware; figures that came from simulation say so.

The microphone's rail, clocks and data each run through a relay contact whose other side is ground. The relays hold
only while a charge pump (C5, C7, D1, C6) is fed with edges of the heartbeat, and the mute button breaks the supply
and the coils: no pin of the processor can close what the button opened.
"""

from dataclasses import dataclass

GND = "GND"


@dataclass(frozen=True)
class Part:
    """One component. `nodes` in the order of its kind; `value` in SI units, 0 where the kind has none."""

    ref: str
    kind: str  # R C D LED NPN NMOS coil contact switch fuse; as the letters of a bill of materials
    nodes: tuple[str, ...]  # contact and switch: common, normally open (LISTEN), normally closed (MUTE)
    value: float = 0.0
    name: str = ""  # what to buy, where the value does not say it; for a contact, the relay it sits in


def _part(ref: str, kind: str, nodes: str, value: float = 0.0, name: str = "") -> tuple[str, Part]:
    return ref, Part(ref, kind, tuple(nodes.split()), value, name)


PARTS = dict(
    (
        # the microphone's supply: filter, button, relay; every break grounds the microphone's side
        _part("R1", "R", "3V3 MIC_SUP", 33, "0.5 W"),
        _part("C1", "C", "MIC_SUP GND", 10e-6),
        _part("R2", "R", "S1A_MUTE GND", 4.7),
        _part("R3", "R", "K1A_NC GND", 4.7),
        _part("R8", "R", "MIC_VDD GND", 4.7e3),
        _part("C2", "C", "MIC_VDD GND", 1e-6),
        _part("C3", "C", "MIC_VDD GND", 100e-9),
        # the two lamps, on the microphone's own rail: amber lives from it, red dies by it
        _part("R9", "R", "MIC_VDD LEDL_A", 680),
        _part("D4", "LED", "LEDL_A GND", name="amber LIVE"),
        _part("R10", "R", "5V LEDM_A", 1.5e3),
        _part("D5", "LED", "LEDM_A GND", name="red DEAD"),
        _part("Q3", "NPN", "LEDM_A Q3_B GND", name="MMBT3904"),
        _part("R11", "R", "MIC_VDD Q3_B", 22e3),
        # what the processor may know: the rail and the coils' supply
        _part("R12", "R", "MIC_VDD SENSE_M", 47e3),
        _part("R23", "R", "SENSE_M MIC_SENSE", 47e3),  # two in series: one shorted still feeds nothing back
        _part("R13", "R", "COIL_P SW_SENSE", 150e3),
        _part("R14", "R", "SW_SENSE GND", 220e3),
        # I2S to the microphone, in series so that a hostile pin cannot feed it
        _part("R4", "R", "MIC_SCK SCK_R", 470),
        _part("R5", "R", "MIC_WS WS_R", 470),
        _part("R6", "R", "SD_R MIC_SD", 470),
        _part("R7", "R", "MIC_SD GND", 100e3),
        # the heartbeat's charge pump
        _part("R18", "R", "HB GND", 100e3),
        _part("R17", "R", "HB HB_F", 2.2e3),
        _part("C4", "C", "HB_F GND", 100e-9),
        _part("C5", "C", "HB_F PUMP_M", 220e-9),
        _part("C7", "C", "PUMP_M PUMP_AC", 220e-9),
        _part("D1A", "D", "GND PUMP_AC", name="BAT54S"),
        _part("D1B", "D", "PUMP_AC PUMP", name="BAT54S"),
        _part("C6", "C", "PUMP GND", 1e-6),
        _part("R19", "R", "PUMP GND", 240e3),
        _part("R20", "R", "PUMP GND", 240e3),
        _part("R15", "R", "PUMP Q1_G", 1e6),
        _part("R16", "R", "PUMP Q2_G", 1e6),
        # two relays: one welded, or one FET shorted, still leaves SD and WS, or VDD and SCK, cut
        _part("Q1", "NMOS", "DR1 Q1_G GND", name="AO3400A"),
        _part("Q2", "NMOS", "DR2 Q2_G GND", name="AO3400A"),
        _part("F1", "fuse", "5V COIL_F", 2.5, "PTC 100 mA"),
        _part("K1", "coil", "COIL_P DR1", 194, "G6K-2P DC4.5"),
        _part("K2", "coil", "COIL_P DR2", 194, "G6K-2P DC4.5"),
        _part("D2", "D", "DR1 COIL_P", name="1N4148W"),
        _part("D3", "D", "DR2 COIL_P", name="1N4148W"),
        _part("K1A", "contact", "MIC_VDD MIC_SW K1A_NC", name="K1"),
        _part("K1B", "contact", "M_SCK SCK_R GND", name="K1"),
        _part("K2A", "contact", "M_SD SD_R GND", name="K2"),
        _part("K2B", "contact", "M_WS WS_R GND", name="K2"),
        _part("S1A", "switch", "MIC_SW MIC_SUP S1A_MUTE", name="PVA2 DPDT, latching"),
        _part("S1B", "switch", "COIL_P COIL_F NC", name="PVA2 DPDT, latching"),
    )
)

# Pins by role. `in` is read, `out` is driven, `adc` needs a converter that works beside Wi-Fi (ADC1).
ROLES = {
    "MIC_SCK": "out",  # microphone's bit clock
    "MIC_WS": "out",  # microphone's word select
    "MIC_SD": "in",  # microphone's data
    "HB": "out",  # heartbeat that holds the relays
    "AMP_BCLK": "out",
    "AMP_LRC": "out",
    "AMP_DIN": "out",
    "AMP_SD": "out",  # high wakes the amplifier
    "MIC_SENSE": "adc",  # the microphone's rail
    "SW_SENSE": "adc",  # the coils' supply: gone while the mute button is in
    "LED": "out",  # one WS2812
    "BTN_ACT": "in",  # buttons close to ground
    "BTN_UP": "in",
    "BTN_DN": "in",
}


@dataclass(frozen=True)
class Profile:
    """A processor board that Rev A plugs into."""

    chip: str  # as `sys.implementation._machine` names it, without hyphens
    board: str
    pins: dict[str, int]  # role -> GPIO
    forbidden: dict[str, tuple[int, ...]]  # why -> GPIOs that must stay unused
    input_only: tuple[int, ...]
    adc1: tuple[int, ...]
    gpios: int  # highest GPIO + 1
    flash_bytes: int  # of the file system


def _pins(*numbers: int) -> dict[str, int]:
    return dict(zip(ROLES, numbers, strict=True))


PROFILES = {
    "s3": Profile(
        chip="ESP32S3",
        board="ESP32-S3-DevKitC-1",
        pins=_pins(4, 5, 6, 7, 15, 16, 17, 18, 1, 2, 21, 10, 11, 12),
        forbidden={
            "strapping": (0, 3, 45, 46),
            "USB": (19, 20),
            "flash and PSRAM": tuple(range(26, 38)),
            "console": (43, 44),
            "the DevKit's own lamp": (38, 48),
            "JTAG": (39, 40, 41, 42),
        },
        input_only=(),
        adc1=tuple(range(1, 11)),
        gpios=49,
        flash_bytes=2 << 20,
    ),
    "esp32": Profile(
        chip="ESP32",
        board="ESP32-DevKitC",
        pins=_pins(26, 25, 33, 4, 18, 19, 23, 22, 34, 35, 32, 27, 13, 14),
        forbidden={
            "strapping": (0, 2, 5, 12, 15),
            "flash": (6, 7, 8, 9, 10, 11),
            "console": (1, 3),
            "PSRAM of a WROVER": (16, 17),
        },
        input_only=(34, 35, 36, 39),
        adc1=tuple(range(32, 40)),
        gpios=40,
        flash_bytes=2 << 20,
    ),
}

# The heartbeat. Over all simulated corners the relays hold in the band, and never at the edges outside of it.
HEARTBEAT_HZ = 400
HEARTBEAT_BAND_HZ = (200, 800)
HEARTBEAT_NEVER_HZ = (15, 5_000)  # at or below the first, at or above the second
BOOT_PULSES = 3  # as many stray pulses at reset never pull the relays in
DROP_MS = (100, 223)  # heartbeat gone -> microphone dead: nominal (stuck low), slowest corner (stuck high)
BUTTON_CUT_MS = 2.5  # press -> microphone dead, all corners
POWER_CUT_MS = 22.2  # 5 V gone -> microphone dead, nominal

# Levels, in volts.
LOGIC = 3.3
RAIL_LIVE = 3.125  # MIC_VDD with the contact closed, simulated at 25 °C
PIN_LEAK = 10e6  # ohm from an input pin to ground
SUPPLY_5V = 5.0
DIODE = 0.2  # one half of a BAT54S at microamperes
FET_THRESHOLD = 1.05  # AO3400A, nominal
FET_KP = 8.0  # A/V²
COIL_RATED = 4.5  # pulls in at 0.70 of it, lets go at 0.25 (simulated corners; datasheet: 80 %, 10 %)
COIL_PICK, COIL_DROP = 0.70, 0.25
RELAY_LAG_MS = 2.0  # gate, coil and armature, either way

# The microphone (INMP441): after power-up its output is zero for 2^18 clocks, 64 clocks a frame.
MIC_STARTUP_FRAMES = (1 << 18) // 64


def value(ref: str) -> float:
    return PARTS[ref].value


def gate_volts(coil_fraction: float) -> float:
    """Volts at a FET's gate at which its coil carries `coil_fraction` of the rated current (saturation)."""
    amperes = coil_fraction * COIL_RATED / value("K1")
    return FET_THRESHOLD + (2 * amperes / FET_KP) ** 0.5


def pump() -> dict[str, float]:
    """The charge pump as four numbers that an edge of the heartbeat needs; derived from the parts.

    filter_us  time constant that rounds the pin's edges (R17, C4)
    share      part of the missing voltage that one rising edge brings: Cs / (Cs + C6), Cs = C5 and C7 in series
    swing      volts that a full swing of the pin could pump: logic level less two diodes
    low_us, high_us  time constant of the reservoir's bleed while the pin is low, high (then Cs hangs on it too)
    pick, drop volts of the reservoir at which the relays pull in, let go
    """
    series = 1 / (1 / value("C5") + 1 / value("C7"))
    bleed = 1 / (1 / value("R19") + 1 / value("R20"))
    return {
        "filter_us": value("R17") * value("C4") * 1e6,
        "share": series / (series + value("C6")),
        "logic": LOGIC,
        "diodes": 2 * DIODE,
        "low_us": bleed * value("C6") * 1e6,
        "high_us": bleed * (value("C6") + series) * 1e6,
        "pick": gate_volts(COIL_PICK),
        "drop": gate_volts(COIL_DROP),
        "lag_us": RELAY_LAG_MS * 1e3,
    }


def sense_uv() -> dict[str, int]:
    """Microvolts that the two sense pins read when their net lives; both are 0 when it is cut."""
    series = value("R12") + value("R23")
    divider = value("R14") / (value("R13") + value("R14"))
    return {
        "MIC_SENSE": round(RAIL_LIVE * PIN_LEAK / (series + PIN_LEAK) * 1e6),
        "SW_SENSE": round(SUPPLY_5V * divider * 1e6),
    }
