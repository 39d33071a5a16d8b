"""Wires the rooms together and turns the one loop; nothing else imports more than its neighbours.

The loop's clock is the microphone: reading a block takes as long as a block lasts. In each turn the button and the
relay are looked at right after the read and before anything is sent, so that what leaves was captured, and is sent,
while nobody had pressed mute.
"""

import sourdine
from sourdine import settings, speaker, wire
from sourdine.dsp import energy
from sourdine.endpoint import Endpoint
from sourdine.frontend import Frontend
from sourdine.gate import LISTENING, OPEN, Gate
from sourdine.ledger import Ledger, LedgerDamaged
from sourdine.light import Light
from sourdine.mic import Mic
from sourdine.mute import CLOSING, CUTTING, FAULT, SETTLING, ZERO, Mute
from sourdine.speaker import Speaker
from sourdine.spec import HOP, REASONS
from sourdine.uplink import Uplink
from sourdine.wake import Wake

EDGES_HZ = 800  # the relay's heartbeat: two edges make a period of 400 Hz
LOOK_AROUND = 50  # turns between looks at the radio: half a second
LINKED_MS = 4_000  # the watchdog's time: longer than any one step; shorter than a person's patience
ALONE_MS = 30_000  # the same while there may be a dial: a name service that does not answer takes 26 s to say so
PROVING = (CUTTING, ZERO, CLOSING, SETTLING)


class App:
    """The speaker. hardware: the parts by role (hardware.py, or a fake); chosen: Settings."""

    def __init__(self, hardware, chosen):
        clock = hardware.clock
        self._clock = clock
        self._hardware = hardware
        self._mute = Mute(hardware.heartbeat, hardware.rail_mv, hardware.released, clock)
        self._light = Light(hardware.pixel)
        self._frontend = Frontend()
        self._wake = Wake.load(f"models/{chosen.wake}.json")
        self._endpoint = Endpoint()
        self._speaker = Speaker(hardware.open_speaker(), hardware.amplifier, clock)
        self._wifi = hardware.wifi(chosen.ssid, chosen.password)
        ledger = Ledger(hardware.store("ledger"))
        hardware.set_time(ledger.oldest)  # certificates are checked against the latest time that is certain
        self._uplink = uplink = Uplink(chosen, ledger, clock, self)
        self._gate = Gate(uplink)
        self._live = False
        self._online = False
        self._told = 0  # reproofs that the server knows of
        self._trouble = None
        self._turns = 0
        self._mic = Mic(hardware.open_mic, clock)
        hardware.every(EDGES_HZ, self._mute.beat)
        self._feed = hardware.watchdog(ALONE_MS)

    def turn(self):
        """One block: hear, check, send, listen, speak, show."""
        samples = self._mic.read()
        now = self._clock.ticks_ms()
        mute = self._mute
        mute.step(now, self._mic.peak, self._mic.age_ms)
        if mute.live is not self._live:
            self._contact(mute.live)
        if self._online or self._uplink.linked:
            self._uplink.step(now)
        if self._live:
            self._listen(samples)
        played = self._speaker.step(now)
        if played:
            self._uplink.credit(played)
        self._gate.tell("quiet" if self._speaker.quiet(now) else "play")
        self._light.show(self._state(), now)
        self._turns += 1
        if self._turns == LOOK_AROUND:
            self._turns = 0
            self._look_around()
        self._feed()

    def stop(self):
        """Cut the microphone, end what is open, and let nothing of it leave later: nobody looks after it any more."""
        self._mute.off()  # first: the rest may fail
        self._hardware.stop()
        try:
            self._gate.tell("mute")
        finally:
            self._wifi.off()

    def _listen(self, samples):
        gate = self._gate
        features = self._frontend.feed(samples)
        heard = features is not None and self._wake.hear(features)
        ended = self._endpoint.hear(energy(samples, HOP))
        if gate.state is OPEN:
            gate.offer(self._mic.index, samples)
            if ended:
                gate.tell("silence")
            if gate.state is not OPEN:
                self._ended()
        elif heard:
            if gate.wake(self._mic.fence()):
                self._endpoint.start()
                self._speaker.earcon(speaker.WAKE)
                print("heard", self._wake.word)
            elif gate.state is LISTENING:
                self._speaker.earcon(speaker.REFUSE)
                print("heard", self._wake.word, "but the server is away")

    def _contact(self, live):
        self._live = live
        if live:
            self._frontend.reset()
            self._wake.reset()
            self._endpoint.reset()
            self._gate.tell("unmute")
            self._own_up()
            self._uplink.event(wire.UNMUTED)
        else:
            fault = self._mute.state is FAULT
            self._shut("fault" if fault else "mute")
            self._gate.tell("mute")
            self._uplink.event(wire.FAULTY if fault else wire.MUTED)

    def _own_up(self):
        """Say that the contact was lost without the button, since it was last said: a stall, a brown-out, a bad wire."""
        count = self._mute.reproofs
        if count != self._told:
            print("contact lost without the button, so far:", count)
            if self._uplink.linked:
                self._told = count
                self._uplink.event(wire.LOST)

    def _look_around(self):
        online = self._wifi.connected()
        if online and not self._online:
            self._uplink.hurry()
        self._online = online
        trouble = self._mute.fault or self._uplink.error
        if trouble != self._trouble:
            self._trouble = trouble
            if trouble:
                print("trouble:", trouble)

    def _shut(self, event):
        was = self._gate.state
        self._gate.tell(event)
        if was is OPEN and self._gate.state is not OPEN:
            self._ended()

    def _ended(self):
        self._speaker.earcon(speaker.END)
        print("ended:", REASONS[self._gate.reason])

    def _state(self):
        mute = self._mute
        if mute.state is FAULT:
            return "fault"
        if mute.state in PROVING:
            return "proving"
        if not mute.live:
            return "muted"
        if self._gate.state is OPEN:
            return "sending"
        if self._speaker.sounding:
            return "speaking"
        return "listening" if self._uplink.linked else "alone"

    # What the uplink has to say:

    def server_closed(self):
        """The server may only end a session earlier."""
        self._shut("server")

    def play(self, data):
        """A piece of a reply; while the gate is open, hearing ends before speaking begins."""
        self._shut("server")
        self._gate.tell("play")
        return self._speaker.play(data)

    def play_end(self):
        """The reply is complete."""
        self._speaker.play_end()

    def set_time(self, unix):
        """Seconds since 1970, from the authenticated server."""
        self._hardware.set_time(unix)

    def link(self, up):
        """The connection came or went."""
        print("server", "linked" if up else "lost")
        self._feed = self._hardware.watchdog(LINKED_MS if up else ALONE_MS)
        if not up:
            self._shut("link")
            return
        if self._uplink.connections == 1:
            self._uplink.event(wire.STARTED)
            self._uplink.event(wire.UNMUTED if self._live else wire.MUTED)
        self._own_up()

    def drop(self):
        """Whatever the network stack still holds must not leave."""
        self._wifi.bounce()


def main():
    """Run the speaker until it is interrupted; an unpaired board stays muted and says so."""
    from sourdine.hardware import Hardware

    hardware = Hardware()
    light = Light(hardware.pixel)
    light.show("starting", 0)
    try:
        chosen = settings.load()
    except (settings.NotPaired, settings.BadSettings) as why:
        light.show("unpaired", 0)
        print(f"sourdine {sourdine.__version__}: {why}")
        return
    app = None
    try:
        try:
            app = App(hardware, chosen)
        except (LedgerDamaged, MemoryError, OSError, ValueError) as why:  # ValueError: a bad model or certificate
            light.show("fault", 0)
            print(f"sourdine {sourdine.__version__}: {why}")
            return
        print(f"sourdine {sourdine.__version__}: ready, listening for {chosen.wake}")
        while True:
            app.turn()
    finally:
        (app or hardware).stop()
