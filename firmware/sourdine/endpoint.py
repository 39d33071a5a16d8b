"""End of speech, decided on the device from loudness alone.

The floor is the quietest quarter second of the last four seconds. The voice is the loudest of late, fading slowly,
so that at a wake it is the wake word's own. Speech is what comes nearer to the voice than to the floor: a steady
noise, a fan or a far television does not hold the gate open. Levels are 1/16 octaves of mean square (0.19 dB).
"""

from array import array

WINDOWS = 16  # quarter seconds whose quietest is the floor: 4 s
WINDOW = 25  # blocks of 10 ms in one of them
NEAR = 40  # 7.5 dB: what speech must rise above the floor at least
FADE = 12  # blocks in which the voice's level fades by one step: about 1.6 dB a second
TRAIL = 80  # blocks without speech that end a session: 0.8 s
LEAST = 200  # blocks that a session is given at least: 2 s
PATIENCE = 250  # blocks that may pass before the first speech: 2.5 s
WORD = 80  # blocks after a wake in which what sounds may still be the rest of a slow word, …
GAP = 20  # … unless so many quiet ones came before it


def level(energy):
    """Mean square (0 … 2**30) → 16 * log2, straight lines between the octaves; 0 for silence."""
    if energy < 1:
        return 0
    octave = 0
    shifted = energy
    while shifted > 1:
        shifted >>= 1
        octave += 1
    fraction = ((energy << 4) >> octave) - 16 if octave < 26 else (energy >> (octave - 4)) - 16
    return (octave << 4) + fraction


class Endpoint:
    """hear() every block, always: the floor must be known before the wake. start() at the wake."""

    def __init__(self):
        self._lows = array("h", [480] * WINDOWS)
        self.reset()

    def reset(self):
        """Forget the room: the microphone was off."""
        for i in range(WINDOWS):
            self._lows[i] = 480
        self._low = 480
        self._count = 0
        self._window = 0
        self._smooth = 0
        self._fade = 0
        self.start()
        self.voice = 0
        self.floor = 0

    def start(self):
        """A session begins; the voice that woke us is still remembered."""
        self._since = 0
        self._quiet = 0
        self._paused = False  # since the word
        self._spoke = False  # since the pause

    def hear(self, energy):
        """One block's mean square. Returns whether speech has ended since start()."""
        now = level(energy)
        self._smooth += (now - self._smooth) >> 2 if now < self._smooth else (now - self._smooth + 1) >> 1
        smooth = self._smooth
        self._track(smooth)
        if self._since < LEAST:
            self._since += 1
        if smooth > max(self.floor + NEAR, (self.floor + self.voice) >> 1):
            self._quiet = 0
            self._spoke = self._spoke or self._paused or self._since > WORD
        else:
            if self._quiet < PATIENCE:  # no more is asked for
                self._quiet += 1
            self._paused = self._paused or self._quiet >= GAP
        return self._since == LEAST and self._quiet >= (TRAIL if self._spoke else PATIENCE)

    def _track(self, smooth):
        """What is quiet here, and what is a voice."""
        self._low = min(self._low, smooth)
        self._count += 1
        if self._count == WINDOW:
            self._count = 0
            self._lows[self._window] = self._low
            self._window = (self._window + 1) % WINDOWS
            self._low = 480
        self.floor = self._low
        for low in self._lows:
            if low < self.floor:
                self.floor = low
        self._fade += 1
        if self._fade == FADE:
            self._fade = 0
            self.voice -= 1
        self.voice = max(self.voice, smooth)
