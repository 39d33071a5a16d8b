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
        windowed = array("h", bytes(2 * 512))  # 480, then zeros
        cells = array("H", bytes(2 * 512))
        small, middle, large = fft.twiddles(tables.SINE)
        energies = array("I", bytes(4 * fft.BINS))
        sums = array("I", bytes(4 * 2 * spec.CHANNELS))
        signal = array("I", bytes(4 * spec.CHANNELS))
        noise = array("I", bytes(4 * spec.CHANNELS))
        bits = mel.lengths()
        self._block = 0  # where the next goes; before the third, nothing is heard
        self._noise = noise
        self._sums = sums
        # Kernels and what they are called with: one look-up each in feed(), where a look-up takes as long as ten samples.
        self._lift = dsp.lift, [history[i * spec.HOP :] for i in range(BLOCKS)], spec.HOP
        self._copy = dsp.copy, history[(BLOCKS - 2) * spec.HOP :], history, 2 * spec.HOP
        self._window = dsp.window, tables.WINDOW, windowed, spec.WINDOW
        self._scatter = fft.scatter, windowed, cells, fft.orders()
        self._stage4 = fft.stage4, cells, small
        self._stage16 = fft.stage16, cells, middle
        self._stage64 = fft.stage64, cells, large
        self._spectrum = fft.spectrum, cells, fft.untwiddles(tables.SINE), energies
        self._filterbank = mel.filterbank, energies, tables.MEL_WEIGHTS, tables.MEL_COUNTS
        self._root = mel.root, sums, mel.roots(), signal
        self._denoise = mel.denoise, signal, noise
        self._equalise = mel.equalise, signal, noise, tables.GAINS, bits
        self._logarithm = mel.logarithm, signal, tables.LOG, self.raw, bits
        self._quantize = mel.quantize, self.raw, self.features, spec.CHANNELS

    def reset(self):
        """Forget all sound heard; the next features come with the third block."""
        self._block = 0
        for i in range(spec.CHANNELS):
            self._noise[i] = 0

    def feed(self, samples):
        """One block, int16[160] → features, or None until 30 ms have been heard.

        ValueError for a block of another length.
        """
        kernel, blocks, hop = self._lift
        if len(samples) != hop:
            raise ValueError("a block is 160 samples")
        block = self._block
        kernel(samples, blocks[block], hop)
        self._block = block + 1
        if block < 2:
            return None
        self._listen(blocks[block - 2])
        self._judge()
        if block == BLOCKS - 1:
            kernel, samples, blocks, hop = self._copy
            kernel(samples, blocks, hop)
            self._block = 2
        return self.features

    # No function of these has more than 11 locals and temporaries: MicroPython would take its frame from the heap.

    def _listen(self, x):
        """From 30 ms of lifted samples to the channels' magnitudes."""
        kernel, a, b, c = self._window
        x = kernel(x, a, b, c)  # the largest's bits
        kernel, a, b, c = self._scatter
        x = kernel(a, b, c, x)  # how far all were shifted
        kernel, a, b = self._stage4
        kernel(a, b)
        kernel, a, b = self._stage16
        kernel(a, b)
        kernel, a, b = self._stage64
        kernel(a, b)
        kernel, a, b, c = self._spectrum
        kernel(a, b, c)
        kernel, a, b, c = self._filterbank
        kernel(a, b, c, self._sums)
        kernel, a, b, c = self._root
        kernel(a, b, x, c)

    def _judge(self):
        """From the channels' magnitudes to features."""
        kernel, a, b = self._denoise
        kernel(a, b)
        kernel, a, b, c, d = self._equalise
        kernel(a, b, c, d)
        kernel, a, b, c, d = self._logarithm
        kernel(a, b, c, d)
        kernel, a, b, c = self._quantize
        kernel(a, b, c)
