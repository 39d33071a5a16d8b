"""End of speech, decided on the device from loudness alone.

The floor is the quietest quarter second of the last four seconds. The voice is the loudest of late, fading slowly,
so that at a wake it is the wake word's own. Speech is what comes nearer to the voice than to the floor: a steady
noise, a fan or a far television does not hold the gate open. Levels are 1/16 octaves of mean square (0.19 dB).
"""

from array import array

from sourdine.native import micropython

const = micropython.const  # so that the compiler writes the number itself

WINDOWS = const(16)  # quarter seconds whose quietest is the floor: 4 s
WINDOW = const(25)  # blocks of 10 ms in one of them
SILENT = const(480)  # no level is above it
NEAR = const(40)  # 7.5 dB: what speech must rise above the floor at least
FADE = const(12)  # blocks in which the voice's level fades by one step: about 1.6 dB a second
TRAIL = const(80)  # blocks without speech that end a session: 0.8 s
LEAST = const(200)  # blocks that a session is given at least: 2 s
PATIENCE = const(250)  # blocks that may pass before the first speech: 2.5 s
WORD = const(80)  # blocks after a wake in which what sounds may still be the rest of a slow word, …
GAP = const(20)  # … unless so many quiet ones came before it


def level(energy):
    """Mean square (0 … 2**30) → 16 * log2, straight lines between the octaves; 0 for silence."""
    if energy < 1:
        return 0
    sixteenths = 64 - 16  # 16 is level 64
    while energy > 8191:  # towards 16 … 31, where a step is a sixteenth
        energy >>= 8
        sixteenths += 128
    while energy > 31:
        energy >>= 1
        sixteenths += 16
    while energy < 16:
        energy <<= 1
        sixteenths -= 16
    return sixteenths + energy


class Endpoint:
    """hear() every block, always: the floor must be known before the wake. start() at the wake."""

    def __init__(self):
        self._lows = array("h", [SILENT] * WINDOWS)
        self.reset()

    def reset(self):
        """Forget the room: the microphone was off."""
        for i in range(WINDOWS):
            self._lows[i] = SILENT
        self._lowest = SILENT  # of those
        self._low = SILENT  # of the window that is not over yet
        self._window = 0
        self._count = 0  # of blocks, round a whole number of windows and fades
        self._smooth = 0
        self._voice = 0
        self.start()

    def start(self):
        """A session begins; the voice that woke us is still remembered."""
        self._since = 0
        self._quiet = 0
        self._paused = False  # since the word
        self._spoke = False  # since the pause

    def hear(self, energy):
        """One block's mean square. Returns whether speech has ended since start()."""
        smooth = self._smooth
        step = level(energy) - smooth
        smooth += step >> 2 if step < 0 else (step + 1) >> 1
        self._smooth = smooth
        floor = self._floor(smooth)
        near = (floor + self._voice) >> 1
        since = self._since
        if since < LEAST:
            since += 1
            self._since = since
        quiet = self._quiet
        if smooth > floor + NEAR and smooth > near:
            if quiet:
                self._quiet = quiet = 0
            if self._paused or since > WORD:
                self._spoke = True
        else:
            if quiet < PATIENCE:  # no more is asked for
                quiet += 1
                self._quiet = quiet
            if quiet == GAP:
                self._paused = True
        return since == LEAST and quiet >= (TRAIL if self._spoke else PATIENCE)

    def _floor(self, smooth):
        """What is quiet here; and what is a voice."""
        count = self._count + 1
        low = self._low
        if smooth < low:
            self._low = low = smooth
        if count % WINDOW == 0:
            self._turn(low)
            low = SILENT
        voice = self._voice
        if count % FADE == 0:
            voice -= 1
            if count == WINDOW * FADE:
                count = 0
        self._count = count
        self._voice = voice if voice > smooth else smooth
        return low if low < self._lowest else self._lowest

    def _turn(self, low):
        """A window is over: forget the oldest one."""
        lows = self._lows
        lows[self._window] = low
        self._window = (self._window + 1) % WINDOWS
        self._low = SILENT
        for other in lows:
            if other < low:
                low = other
        self._lowest = low
