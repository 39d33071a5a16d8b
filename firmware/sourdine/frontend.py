"""Ears, first half: 10 ms of samples in, 40 int8 features out, equal to the TFLM microfrontend bit for bit.

Window of 30 ms, hop of 10 ms, 512-point FFT, 40 mel channels from 125 to 7500 Hz, noise reduction, PCAN, logarithm.
The settings are those of microWakeWord and ESPHome, and of pymicro-features, against which tests compare.
"""

from array import array

from sourdine import dsp, fft, mel, spec, tables


class Frontend:
    """A stream of samples to a stream of features. Everything is allocated here; feed() allocates nothing.

    raw       uint16[40]: the last features before quantization, 64 * ln of the energy (25.6 to the float unit).
    features  int8[40]: the same as the models take them, overwritten by the next feed().
    """

    def __init__(self):
        self.raw = array("H", bytes(2 * spec.CHANNELS))
        self.features = memoryview(array("b", bytes(spec.CHANNELS)))
        weights = memoryview(tables.WINDOW)
        windowed = memoryview(array("h", bytes(2 * 512)))  # 480, then zeros
        hop = spec.HOP
        self._weights = [weights[i : i + hop] for i in range(0, spec.WINDOW, hop)]
        self._thirds = [windowed[i : i + hop] for i in range(0, spec.WINDOW, hop)]
        self._windowed = windowed
        self._older = array("h", bytes(2 * hop))
        self._newer = array("h", bytes(2 * hop))
        self._blocks = 0  # how many of those are real
        self._order = fft.orders()
        self._factors = fft.twiddles(tables.SINE)
        self._unfactors = fft.untwiddles(tables.SINE)
        self._cells = array("H", bytes(2 * 512))
        self._energies = array("I", bytes(4 * fft.BINS))
        self._sums = array("I", bytes(4 * 2 * spec.CHANNELS))
        self._guesses = mel.roots()
        self._signal = array("I", bytes(4 * spec.CHANNELS))
        self._noise = array("I", bytes(4 * spec.CHANNELS))

    def reset(self):
        """Forget all sound heard; the next features come with the third block."""
        self._blocks = 0
        for i in range(spec.CHANNELS):
            self._noise[i] = 0

    def feed(self, samples):
        """One block, int16[160] → features, or None until 30 ms have been heard.

        ValueError for a block of another length.
        """
        if len(samples) != spec.HOP:
            raise ValueError("a block is 160 samples")
        older = self._older
        features = None
        if self._blocks == 2:
            self._listen(older, self._newer, samples)
            features = self.features
        else:
            self._blocks += 1
        dsp.copy(samples, older, spec.HOP)
        self._older = self._newer
        self._newer = older
        return features

    def _listen(self, older, newer, newest):
        hop = spec.HOP
        first, second, third = self._thirds
        rise, top, fall = self._weights
        largest = dsp.window(older, rise, first, hop)
        largest |= dsp.window(newer, top, second, hop)
        largest |= dsp.window(newest, fall, third, hop)
        shift = fft.scatter(self._windowed, self._cells, self._order, largest)
        small, middle, large = self._factors
        fft.stage(self._cells, small, 4)
        fft.stage(self._cells, middle, 16)
        fft.stage(self._cells, large, 64)
        fft.spectrum(self._cells, self._unfactors, self._energies)
        mel.filterbank(self._energies, tables.MEL_WEIGHTS, tables.MEL_COUNTS, self._sums)
        mel.root(self._sums, self._guesses, shift, self._signal)
        mel.denoise(self._signal, self._noise)
        mel.equalise(self._signal, self._noise, tables.GAINS)
        mel.logarithm(self._signal, tables.LOG, self.raw)
        mel.quantize(self.raw, self.features, spec.CHANNELS)
