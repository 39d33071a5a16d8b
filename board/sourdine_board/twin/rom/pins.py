"""machine.Pin, ADC and bitstream: the chip's legs, on the nets that the circuit gives them."""

from clock import clock
from events import world
from host import CONFIG, registers, trace
from relay import relay

_PROFILE = CONFIG["profile"]
_ROLE = {number: role for role, number in CONFIG["pins"].items()}
_BUTTONS = ("BTN_ACT", "BTN_UP", "BTN_DN")
_SENSE_UV = CONFIG["circuit"]["sense_uv"]
_THRESHOLD_UV = 1_650_000  # an input reads 1 above half of its supply
_levels = {}  # role -> level of an output


def level_of(role):
    """What the chip drives on a role's pin; 0 while nothing drives it."""
    return _levels.get(role, 0)


def _microvolts(role):
    if role == "MIC_SENSE":
        return _SENSE_UV[role] if relay.closed else 0
    if role == "SW_SENSE":
        return _SENSE_UV[role] if relay.supplied else 0
    if role in _BUTTONS:
        return 0 if role == "BTN_ACT" and world.action else 3_300_000
    return 0


class Pin:
    """machine.Pin. An output that leads nowhere on this board, or a leg that must stay unused, is a mistake we report."""

    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2
    DRIVE_0 = 0
    DRIVE_1 = 1
    DRIVE_2 = 2
    DRIVE_3 = 3

    def __init__(self, id, mode=-1, pull=-1, *, value=None, drive=None, hold=None):
        if isinstance(id, Pin):
            id = id.id
        if not 0 <= id < _PROFILE["gpios"]:
            raise ValueError("invalid pin")
        self.id = id
        self.role = _ROLE.get(id)
        if self.role is None:
            why = [why for why, pins in _PROFILE["forbidden"].items() if id in pins]
            trace(clock.now, "violation", what="pin", pin=id, why=why[0] if why else "not on this board")
        self._mode = -1
        self.init(mode, pull, value=value)

    def init(self, mode=-1, pull=-1, *, value=None, drive=None, hold=None):
        """Set the direction, and the level of an output."""
        if mode in (Pin.OUT, Pin.OPEN_DRAIN) and self.id in _PROFILE["input_only"]:
            raise ValueError("pin can only be input")
        if mode != -1:
            self._mode = mode
        if value is not None:
            self(value)
        elif mode == Pin.IN and self.role in _levels:
            self._drive(0)  # the board's resistors pull every output low

    def __call__(self, value=None):
        if value is None:
            clock.charge(1)
            if self._mode == Pin.OUT:
                return _levels.get(self.role, 0)
            return 1 if _microvolts(self.role) > _THRESHOLD_UV else 0
        if self._mode == Pin.OUT:
            self._drive(1 if value else 0)

    value = __call__

    def on(self):
        """High."""
        self(1)

    def off(self):
        """Low."""
        self(0)

    def _drive(self, level):
        _levels[self.role] = level
        if self.role == "HB":
            relay.edge(level)

    def __repr__(self):
        return f"Pin({self.id})"


class ADC:
    """machine.ADC on the two sense lines."""

    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3
    _FULL_UV = (950_000, 1_250_000, 1_750_000, 3_100_000)  # what saturates it, by attenuation
    # What an ESP32 says of 0 V: its calibration is a line that misses the origin (ESP-IDF, adc_cali_line_fitting.c).
    _ZERO_UV = (75_000, 78_000, 107_000, 142_000) if CONFIG["profile"]["input_only"] else (0, 0, 0, 0)

    def __init__(self, pin, *, atten=0):
        pin = pin if isinstance(pin, Pin) else Pin(pin)
        if pin.id not in _PROFILE["adc1"]:
            raise ValueError("invalid pin")
        self._role = pin.role
        self._atten = atten

    def atten(self, atten):
        """Set the attenuation."""
        self._atten = atten

    def read_uv(self):
        """Microvolts."""
        clock.charge(40)
        return max(ADC._ZERO_UV[self._atten], min(_microvolts(self._role), ADC._FULL_UV[self._atten]))

    def read_u16(self):
        """0..65535 of full scale."""
        return self.read_uv() * 65535 // ADC._FULL_UV[self._atten]


_lamp = b""


def bitstream(pin, encoding, timing, data):
    """What the LED shows: WS2812 takes green, red, blue."""
    global _lamp
    clock.charge(len(data) * 10)
    data = bytes(data)
    if pin.role == "LED" and data != _lamp:
        _lamp = data
        trace(clock.now, "led", rgb=[data[1], data[0], data[2]])


_levels["HB"] = registers.heartbeat
