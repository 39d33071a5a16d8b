"""Ears, first half: 10 ms of samples in, 40 int8 features out, equal to the TFLM microfrontend bit for bit.

Window of 30 ms, hop of 10 ms, 512-point FFT, 40 mel channels from 125 to 7500 Hz, noise reduction, PCAN, logarithm.
The settings are those of microWakeWord and ESPHome, and of pymicro-features, against which tests compare.
"""

from array import array

from sourdine import dsp, fft, mel, spec, tables

BLOCKS = 5  # that are kept, lifted: three are heard at once, and the last two begin anew when all are full


class Frontend:
    """A stream of samples to a stream of features. Everything is allocated here; feed() allocates nothing.

    raw       uint16[40]: the last features before quantization, 64 * ln of the energy (25.6 to the float unit).
    features  int8[40]: the same as the models take them, overwritten by the next feed().
    """

    def __init__(self):
        self.raw = array("H", bytes(2 * spec.CHANNELS))
        self.features = memoryview(array("b", bytes(spec.CHANNELS)))
        history = memoryview(array("H", bytes(2 * BLOCKS * spec.HOP)))
        self._blocks = [history[i * spec.HOP :] for i in range(BLOCKS)]
        self._block = 0  # where the next goes; before the third, nothing is heard
        self._windowed = array("h", bytes(2 * 512))  # 480, then zeros
        self._order = fft.orders()
        self._factors = fft.twiddles(tables.SINE)
        self._unfactors = fft.untwiddles(tables.SINE)
        self._cells = array("H", bytes(2 * 512))
        self._energies = array("I", bytes(4 * fft.BINS))
        self._sums = array("I", bytes(4 * 2 * spec.CHANNELS))
        self._guesses = mel.roots()
        self._bits = mel.lengths()
        self._signal = array("I", bytes(4 * spec.CHANNELS))
        self._noise = array("I", bytes(4 * spec.CHANNELS))

    def reset(self):
        """Forget all sound heard; the next features come with the third block."""
        self._block = 0
        for i in range(spec.CHANNELS):
            self._noise[i] = 0

    def feed(self, samples):
        """One block, int16[160] → features, or None until 30 ms have been heard.

        ValueError for a block of another length.
        """
        if len(samples) != spec.HOP:
            raise ValueError("a block is 160 samples")
        block, blocks = self._block, self._blocks
        dsp.lift(samples, blocks[block], spec.HOP)
        self._block = block + 1
        if block < 2:
            return None
        self._listen(blocks[block - 2])
        if block == BLOCKS - 1:
            dsp.copy(blocks[block - 1], blocks[0], 2 * spec.HOP)
            self._block = 2
        return self.features

    def _listen(self, sound):
        largest = dsp.window(sound, tables.WINDOW, self._windowed, spec.WINDOW)
        shift = fft.scatter(self._windowed, self._cells, self._order, largest)
        small, middle, large = self._factors
        fft.stage(self._cells, small, 4)
        fft.stage(self._cells, middle, 16)
        fft.stage(self._cells, large, 64)
        fft.spectrum(self._cells, self._unfactors, self._energies)
        mel.filterbank(self._energies, tables.MEL_WEIGHTS, tables.MEL_COUNTS, self._sums)
        mel.root(self._sums, self._guesses, shift, self._signal)
        mel.denoise(self._signal, self._noise)
        mel.equalise(self._signal, self._noise, tables.GAINS, self._bits)
        mel.logarithm(self._signal, tables.LOG, self.raw, self._bits)
        mel.quantize(self.raw, self.features, spec.CHANNELS)
