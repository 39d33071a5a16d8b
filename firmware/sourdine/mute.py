"""The mute, seen from the chip: it earns the relay's heartbeat, and believes the sense line, not the command.

The relay is held closed by edges on the heartbeat pin (board/: 200–800 Hz). An edge costs a token, and tokens are
earned by processed audio alone, so a program that hangs, crashes or falls behind drops the microphone by itself.
Never LEDC, RMT or MCPWM: peripherals outlive the CPU. The button breaks supply and coils without asking us.

Before audio is believed, at boot and after every unmute, the board proves that it can cut: a heartbeat that stands
still, high and then low, must let the rail fall and leave the data line all zero; only then is the contact closed.
"""

TOKENS = 32  # edges in hand at most: 40 ms at 800 edges a second
PER_BLOCK = 12  # edges earned by one processed block of 10 ms, of which it uses 8
DEAD_MV = 200  # the microphone's rail below this: cut
LIVE_MV = 2_800  # above this: powered
PULL_MS = 20  # the proof's own edge may pull in a relay that has just let go; after so long it has (lag: 2 ms)
CUT_MS = 300  # the slowest corner needs 223 to fall with the heartbeat stuck high
ZERO_MS = 40  # and then the data line must be all zero for this long
CLOSE_MS = 150  # the slowest corner needs 50 to rise
EDGE_US = 700  # edges come no closer: callbacks that queued up during a stall must not burn the tokens in a burst
LATE_US = 20_000  # after a longer pause the relay may have let go (fastest corner: 24 ms): look before the next edge
STALL_MS = 40  # steps come every 10 ms; after a longer gap (a TLS handshake) the heartbeat stood still meanwhile
SETTLE_MS = 320  # 2**18 clocks of 1.024 MHz are 256: the microphone's own start-up, thrown away
FALLS = 3  # in a row while it settles are a fault; fewer may be pauses that are short, and too long for a quick relay

HELD = "held"  # the button is in
CUTTING = "cutting"  # proof, first half: heartbeat high, the rail must fall
ZERO = "zero"  # heartbeat low, the data line must be silent
CLOSING = "closing"  # proof, second half: heartbeat runs, the rail must rise
SETTLING = "settling"
LIVE = "live"
FAULT = "fault"
DRIVEN = (CLOSING, SETTLING, LIVE)  # the heartbeat runs; named, for a tuple that step() makes is garbage


class Mute:
    """Drives and checks the relay.

    heartbeat  callable pin: heartbeat(0 or 1)
    rail_mv    callable: the microphone's supply, mV, read from its own wire
    released   callable: 1 while the button is out (the coils have supply)
    clock      ticks_us, ticks_ms, ticks_diff
    """

    def __init__(self, heartbeat, rail_mv, released, clock):
        self._clock = clock
        self._edge_us = clock.ticks_us()
        self._heartbeat = heartbeat
        self._rail_mv = rail_mv
        self._released = released
        self._tokens = 0
        self._level = 0
        self._since_ms = self._step_ms = clock.ticks_ms()
        self.fault = None  # what the proof found, in words
        self.reproofs = 0  # times the contact was lost without the button
        self._falls = 0  # times that it fell while settling, in a row
        self.state = HELD
        heartbeat(0)

    @property
    def live(self):
        """Whether samples may be believed, and a wake accepted."""
        return self.state is LIVE

    def beat(self, _timer=None):
        """One edge, if it was earned. The timer's callback; allocates nothing."""
        if self._tokens:
            now = self._clock.ticks_us()
            since = self._clock.ticks_diff(now, self._edge_us)
            if since < EDGE_US:
                return
            if since > LATE_US:
                self._tokens = 0  # until step() has looked at the rail
                return
            self._edge_us = now
            self._tokens -= 1
            self._level ^= 1
            self._heartbeat(self._level)

    def off(self):
        """Let go of the relay at once, and forget the proof."""
        self._still(0)
        self.state = HELD

    def step(self, now_ms, peak, age_ms=0):
        """Once per processed block: now_ms from the clock, peak = its largest |sample|, 0 for digital silence.

        age_ms: how long ago the block's last sample was captured. After a stall the blocks are old, and what they
        say about the data line is judged by when they were captured.
        """
        gap = self._clock.ticks_diff(now_ms, self._step_ms)
        self._step_ms = now_ms
        if not self._released():
            if self.state is not HELD:
                self.off()
            return
        rail = self._rail_mv()
        state = self.state
        since = self._clock.ticks_diff(now_ms, self._since_ms)
        heard = since - age_ms
        if gap > STALL_MS and state in (CLOSING, SETTLING):
            self._prove(now_ms)  # nobody drove the relay: that it fell says nothing about it
            return
        if state is LIVE:
            # Nobody pressed, and yet it fell: a stall, a brown-out, a broken wire. If it fell and rose between two looks,
            # the microphone tells: it starts anew, with zeros, which a live one never says for a whole block.
            if rail < LIVE_MV or not peak:
                self.reproofs += 1
                self._prove(now_ms)
        elif state is HELD:
            self.fault = None
            self._falls = 0
            self._prove(now_ms)
        elif state is CUTTING:
            if rail < DEAD_MV and since >= PULL_MS:
                self._still(0)
                self._enter(ZERO, now_ms)
            elif since > CUT_MS:
                self._fail("the microphone keeps its power with the heartbeat stopped")
        elif state is ZERO:
            if rail >= DEAD_MV:
                self._fail("the microphone's power came back without a heartbeat")
            elif heard > ZERO_MS // 2 and peak:  # the first half lets older blocks pass
                self._fail("the data line is alive while the microphone is cut")
            elif heard > ZERO_MS:
                self._enter(CLOSING, now_ms)
        elif state is CLOSING:
            if rail >= LIVE_MV:
                self._enter(SETTLING, now_ms)
            elif since > CLOSE_MS:
                self._fail("the contact does not close")
        elif state is SETTLING:
            if rail < LIVE_MV:
                self._falls += 1
                if self._falls == FALLS:
                    self._fail("the contact does not stay closed")
                else:
                    self._prove(now_ms)
            elif heard > SETTLE_MS and peak:
                self._falls = 0
                self._enter(LIVE, now_ms)
            elif heard > 2 * SETTLE_MS:
                self._fail("the microphone has power but says nothing")

        if self.state in DRIVEN:  # last, for an edge may come at any moment after this
            if not self._tokens:
                self._edge_us = self._clock.ticks_us()  # the pause is over
            self._tokens = min(self._tokens + PER_BLOCK, TOKENS)

    def _prove(self, now_ms):
        self._still(1)
        self._enter(CUTTING, now_ms)

    def _enter(self, state, now_ms):
        self.state = state
        self._since_ms = now_ms

    def _fail(self, why):
        self._still(0)
        self.state = FAULT
        self.fault = why

    def _still(self, level):
        self._tokens = 0
        self._level = level
        self._edge_us = (
            self._clock.ticks_us()
        )  # also because ticks_us() wraps: after 9 minutes without it would be ahead
        self._heartbeat(level)
