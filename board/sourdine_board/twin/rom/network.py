"""The chip's `network`: a Wi-Fi station in a house whose access point may go away."""

from binascii import unhexlify

from clock import NEVER, clock
from events import world
from host import CONFIG, registers, trace

STA_IF = 0
AP_IF = 1
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_BEACON_TIMEOUT = 200
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_ASSOC_FAIL = 203
STAT_HANDSHAKE_TIMEOUT = 204

_OFF, _ON, _ASKED, _CONNECTED = 0, 1, 2, 3
_JOIN_US = 1_400_000  # association, keys, DHCP
_CALL_US = 10


class Radio:
    """The one station, whatever WLAN objects there are."""

    def __init__(self):
        self.state = registers.radio  # stays through a soft reset
        self.ssid = ""
        self.due = NEVER
        self.on_off = None  # called when the stack is torn down
        self.listeners = []  # called when packets may flow again, or not
        world.listeners.append(self._changed)
        clock.add(self)
        if self.state == _ASKED:
            self._join()

    def set(self, state):
        """Take a state, and tell."""
        if state != self.state:
            self.state = registers.radio = state
            trace(clock.now, "wifi", event=("off", "on", "connecting", "connected")[state])
            self._tell()

    def connected(self):
        """Whether there is an address."""
        return self.state == _CONNECTED

    def carries(self):
        """Whether packets reach the other side."""
        return self.connected() and world.access_point and world.cable

    def activate(self, on):
        """Power the radio; off forgets every connection of the stack."""
        if on:
            if self.state == _OFF:
                self.set(_ON)
        else:
            self.due = NEVER
            if self.on_off:
                self.on_off()
            self.set(_OFF)

    def connect(self, ssid):
        """Begin, and keep trying."""
        if self.state == _OFF:
            raise OSError("Wifi Not Started")
        if self.state == _ASKED:  # the driver takes no login while it tries another (micropython issue 17661)
            raise OSError("Wifi Internal State Error")
        self.ssid = ssid
        self.set(_ASKED)
        self._join()

    def disconnect(self):
        """Leave, and stop trying."""
        if self.state == _OFF:
            raise OSError("Wifi Not Started")
        self.due = NEVER
        if self.state > _ON:
            self.set(_ON)

    def happen(self):
        """The access point let us in."""
        self.due = NEVER
        self.set(_CONNECTED)

    def _join(self):
        self.due = clock.now + _JOIN_US if world.access_point else NEVER
        clock.soon(self.due)

    def _tell(self):
        for listener in self.listeners:
            listener()

    def _changed(self, kind):
        if kind == "wifi" and self.state >= _ASKED:
            self.set(_ASKED)
            self._join()
        self._tell()


radio = Radio()


class WLAN:
    """network.WLAN of the station; the chip's access point is not there."""

    IF_STA = STA_IF
    IF_AP = AP_IF
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2

    def __init__(self, interface=STA_IF):
        if interface != STA_IF:
            trace(clock.now, "violation", what="access point")
            raise OSError("this board is a station only")

    def active(self, on=None):
        """Read or set the radio's power."""
        clock.charge(_CALL_US)
        if on is None:
            return radio.state != _OFF
        radio.activate(on)

    def connect(self, ssid=None, key=None, *, bssid=None):
        """Begin to connect."""
        clock.charge(_CALL_US)
        radio.connect(ssid)

    def disconnect(self):
        """Leave."""
        clock.charge(_CALL_US)
        radio.disconnect()

    def isconnected(self):
        """Whether there is an address."""
        clock.charge(_CALL_US)
        return radio.connected()

    def status(self, param=None):
        """One of STAT_*, or the signal in dBm."""
        clock.charge(_CALL_US)
        if param == "rssi":
            return -55
        if radio.state == _ASKED:
            return STAT_CONNECTING if world.access_point else STAT_NO_AP_FOUND
        return STAT_GOT_IP if radio.state == _CONNECTED else STAT_IDLE

    def ifconfig(self, config=None):
        """(address, mask, gateway, DNS)."""
        address = "192.168.4.20" if radio.connected() else "0.0.0.0"
        return (address, "255.255.255.0", "192.168.4.1", "192.168.4.1")

    def ipconfig(self, param=None, **options):
        """addr4 and the like."""
        if param == "addr4":
            return self.ifconfig()[:2]
        if param == "has_dhcp4" or param == "dhcp4":
            return radio.connected()
        return None

    def config(self, param=None, **options):
        """mac, ssid and the like; settings are taken and change nothing."""
        if param == "mac":
            return unhexlify(CONFIG["mac"])
        if param in ("ssid", "essid"):
            return radio.ssid
        if param is not None:
            return -1
        return None


_name = "Sourdine"


def hostname(name=None):
    """The station's name."""
    global _name
    if name is None:
        return _name
    _name = name


def country(code=None):
    """Regulatory domain."""
    return "XX" if code is None else None
