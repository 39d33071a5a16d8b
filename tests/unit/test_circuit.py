"""The circuit's data: pins that a chip has, and a button that nothing in software can undo."""

import heapq

import pytest

from sourdine import pins
from sourdine_board import circuit, pinmap
from sourdine_board.circuit import GND, PARTS, PROFILES, ROLES, gate_volts, sense_uv, value

BUTTON_IN = "MUTE"
CONDUCTORS = ("R", "fuse", "coil", "D", "LED")  # a diode conducts either way here: that is the safe error


def ohms(source: str, target: str, *, button: str, relays: bool) -> float:
    """Least resistance of any path between two nets that does not lead through ground; infinity if there is none."""
    edges: dict[str, list[tuple[str, float]]] = {}

    def join(a: str, b: str, resistance: float) -> None:
        edges.setdefault(a, []).append((b, resistance))
        edges.setdefault(b, []).append((a, resistance))

    for part in PARTS.values():
        if part.kind in CONDUCTORS:
            join(*part.nodes, part.value)
        elif part.kind in ("contact", "switch"):
            common, first, second = part.nodes
            closed = relays if part.kind == "contact" else button == "LISTEN"
            join(common, first if closed else second, 0.0)
        elif part.kind in ("NMOS", "NPN"):
            join(part.nodes[0], part.nodes[2], 0.0)  # whatever drives it, it may conduct
    best, queue = {source: 0.0}, [(0.0, source)]
    while queue:
        so_far, net = heapq.heappop(queue)
        for other, resistance in edges.get(net, ()):
            total = so_far + resistance
            if other != GND and total < best.get(other, float("inf")):
                best[other] = total
                heapq.heappush(queue, (total, other))
    return best.get(target, float("inf"))


def test_the_chips_pins_are_the_circuits():
    assert pinmap.PATH.read_text() == pinmap.text()
    for profile in PROFILES.values():
        assert dict(zip(ROLES, pins.PROFILES[profile.chip], strict=True)) == profile.pins


def test_a_stale_pin_file_is_noticed(monkeypatch, tmp_path):
    from sourdine_tools import cli

    monkeypatch.setattr(pinmap, "PATH", tmp_path / "pins.py")
    assert cli.main(["pins", "--check"]) == 2
    assert cli.main(["pins"]) == 0
    assert cli.main(["pins", "--check"]) == 0
    (tmp_path / "pins.py").write_text(pinmap.text().replace("21", "22"))
    assert cli.main(["pins", "--check"]) == 2


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_every_role_has_a_leg_that_can_play_it(profile):
    used = list(profile.pins.values())
    assert len(set(used)) == len(used)
    assert max(used) < profile.gpios
    forbidden = {pin for those in profile.forbidden.values() for pin in those}
    assert not forbidden & set(used)
    for role, pin in profile.pins.items():
        if ROLES[role] == "out":
            assert pin not in profile.input_only
        if ROLES[role] == "adc":
            assert pin in profile.adc1  # ADC2 does not work beside Wi-Fi


@pytest.mark.parametrize(
    ("machine", "chip"),
    [
        ("Generic ESP32 module with ESP32", "ESP32"),
        ("Generic ESP32 module with SPIRAM with ESP32", "ESP32"),
        ("LOLIN with PICO with ESP32-PICO-D4", "ESP32"),
        ("Generic ESP32S3 module with ESP32S3", "ESP32S3"),
        ("Generic ESP32S3 module with Octal-SPIRAM with ESP32-S3", "ESP32S3"),
        ("uPesy with ESP32-S3-PICO-1-N8R2", "ESP32S3"),
        ("Sourdine's twin of ESP32-S3-DevKitC-1 with ESP32S3", "ESP32S3"),
    ],
)
def test_a_chip_is_known_by_what_its_firmware_calls_it(machine, chip):
    assert pins.profile(machine) == chip


@pytest.mark.parametrize("chip", ["ESP32-C3", "ESP32-S2", "ESP32C6", "ESP32-P4", "ESP32-H2", "RP2040"])
def test_a_chip_without_a_pin_table_is_refused(chip):
    with pytest.raises(KeyError, match="no pins for"):
        pins.profile(f"Some board with {chip}")


def test_listening_needs_the_button_and_the_relay():
    assert ohms("3V3", "MIC_VDD", button="LISTEN", relays=True) == value("R1")
    for button, relays in (("LISTEN", False), (BUTTON_IN, True), (BUTTON_IN, False)):
        assert ohms("3V3", "MIC_VDD", button=button, relays=relays) == float("inf")


def test_no_leg_of_the_chip_can_feed_microphone_or_coils_once_the_button_is_in():
    """All legs high at once: what they feed stays far below what a coil holds with, or a microphone wakes up at."""
    holding = circuit.COIL_DROP * circuit.COIL_RATED / value("K1")
    coil_amperes = sum(circuit.LOGIC / ohms(role, "COIL_P", button=BUTTON_IN, relays=False) for role in ROLES)
    assert coil_amperes < holding / 100
    mic_amperes = sum(circuit.LOGIC / ohms(role, "MIC_VDD", button=BUTTON_IN, relays=False) for role in ROLES)
    assert mic_amperes * value("R8") < 0.2  # volts; an INMP441 needs 1.62
    for net in ("M_SCK", "M_WS", "M_SD"):
        for role in ROLES:
            assert ohms(role, net, button=BUTTON_IN, relays=False) == float("inf")


def test_the_lamps_hang_on_the_microphones_own_rail():
    live, dead = PARTS["D4"], PARTS["Q3"]
    assert ohms("MIC_VDD", live.nodes[0], button="LISTEN", relays=True) == value("R9")
    assert ohms("MIC_VDD", dead.nodes[1], button="LISTEN", relays=True) == value("R11")
    assert dead.nodes[0] == PARTS["D5"].nodes[0]  # Q3 shorts the red lamp while the rail is up


def test_derived_figures_agree_with_the_simulation():
    assert sense_uv()["MIC_SENSE"] == pytest.approx(3_094_000, rel=0.002)  # ngspice, nominal
    assert sense_uv()["SW_SENSE"] == pytest.approx(2_970_000, rel=0.002)
    assert circuit.FET_THRESHOLD < gate_volts(circuit.COIL_DROP) < gate_volts(circuit.COIL_PICK) < 1.2
    pump = circuit.pump()
    assert pump["low_us"] == pytest.approx(120_000)
    assert pump["share"] == pytest.approx(0.099, abs=0.001)
