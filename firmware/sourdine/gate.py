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

#      state        event       next state
TABLE = {
    (MUTED_DEAF, "quiet"): MUTED,
    (MUTED_DEAF, "unmute"): DEAF,
    (MUTED, "play"): MUTED_DEAF,
    (MUTED, "unmute"): LISTENING,
    (DEAF, "quiet"): LISTENING,
    (DEAF, "mute"): MUTED_DEAF,
    (LISTENING, "play"): DEAF,
    (LISTENING, "mute"): MUTED,
    (LISTENING, "wake"): OPEN,  # only by wake(), which sets the fence
    (OPEN, "silence"): DEAF,
    (OPEN, "cap"): DEAF,
    (OPEN, "server"): DEAF,
    (OPEN, "link"): DEAF,
    (OPEN, "mute"): MUTED_DEAF,
    (OPEN, "fault"): MUTED_DEAF,
}
# Nothing reopens OPEN but a wake, and every way out of it is deaf until the speaker has been quiet.

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
        after = TABLE.get((was, event))
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
        self.state = TABLE[self.state, "wake"]
        return True

    def offer(self, index, samples):
        """One block, int16, captured from frame number `index` on. Returns whether it left."""
        if self.state is not OPEN or index < self._first:
            return False
        if index + len(samples) > self._first + spec.SESSION_MAX:
            self.tell("cap")
            return False
        if not self._outlet.audio(samples):
            self.tell("link")
            return False
        return True
