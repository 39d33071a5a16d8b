"""The privacy gate: the one place where audio may leave the device.

Nothing here does I/O or knows the time. The gate holds the only reference to the outlet's `audio`, and calls
it only while OPEN, only with samples whose frame number lies at or after the fence that was set when the wake
was decided, and at most spec.SESSION_MAX samples past it. Whatever is not in the table changes nothing.
"""

from sourdine import spec

MUTED = "muted"  # no contact: the button, a fault, or not yet proven
MUTED_DEAF = "muted, deaf"  # and the speaker plays, or played a moment ago
DEAF = "deaf"  # the microphone is live, but no wake is accepted: the speaker plays, or played a moment ago
LISTENING = "listening"
OPEN = "open"

# state → event → next state. In two steps, for a key (state, event) would be a new tuple in every turn.
TABLE = {
    MUTED_DEAF: {"quiet": MUTED, "unmute": DEAF},
    MUTED: {"play": MUTED_DEAF, "unmute": LISTENING},
    DEAF: {"quiet": LISTENING, "mute": MUTED_DEAF},
    LISTENING: {"play": DEAF, "mute": MUTED, "wake": OPEN},  # the wake only by wake(), which sets the fence
    OPEN: {"silence": DEAF, "cap": DEAF, "server": DEAF, "link": DEAF, "mute": MUTED_DEAF, "fault": MUTED_DEAF},
}

ENDS = {  # event → reason in the ledger
    "silence": spec.SILENCE,
    "cap": spec.CAP,
    "server": spec.SERVER,
    "link": spec.LINK,
    "mute": spec.MUTE,
    "fault": spec.FAULT,
}
WIPES = ("server", "link")  # what was captured in this session and not yet sent is thrown away
CUTS = ("mute", "fault")  # likewise, even when the session is over and its last words still wait to be sent


class Gate:
    """outlet: begin(first) -> bool, audio(samples) -> bool, end(reason), discard(). Starts muted and deaf."""

    def __init__(self, outlet):
        self._outlet = outlet
        self._first = 0  # frame number of the first sample that may leave
        self.state = MUTED_DEAF
        self.reason = None  # why the last session ended

    def tell(self, event):
        """Say what happened. A wake must come through wake(): without a fence it changes nothing."""
        was = self.state
        after = TABLE[was].get(event)
        if after is not None and event != "wake":
            self.state = after  # shut first, talk later
        if event in CUTS or (was is OPEN and event in WIPES):
            self._outlet.discard()
        if was is OPEN and self.state is not OPEN:
            self.reason = ENDS[event]
            self._outlet.end(self.reason)

    def wake(self, first):
        """The wake word was heard: open from frame number `first` on. Returns whether it opened."""
        if self.state is not LISTENING or not self._outlet.begin(first):
            return False
        self._first = first
        self.state = TABLE[LISTENING]["wake"]
        return True

    def offer(self, index, samples):
        """One block, int16, captured from frame number `index` on. Returns whether it left."""
        past = (index - self._first) % spec.FRAMES  # in the upper half: not yet there
        if self.state is not OPEN or past >= spec.FRAMES // 2:
            return False
        if past + len(samples) > spec.SESSION_MAX:
            self.tell("cap")
            return False
        if not self._outlet.audio(samples):
            self.tell("link")
            return False
        return True
