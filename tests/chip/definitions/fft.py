"""What the FFT means, over batches: complex values are int64[calls, 256, 2], re and im, each within 16 bits.

Source: kissfft with 16-bit integers (_kiss_fft_guts.h: C_FIXDIV, C_MUL, kf_cexp; kiss_fft.c: kf_bfly4, kf_work;
kiss_fftr.c: kiss_fftr), and microfrontend/lib/fft.cc, frontend.c and filterbank.c of TFLM.
"""

import numpy as np

QUARTERS = (1, 4, 16, 64)  # m of each stage: 256 = 4 * 4 * 4 * 4


def wrapped(x: np.ndarray) -> np.ndarray:
    """As a C int16 keeps it."""
    return x.astype(np.int16).astype(np.int64)


def rounded(x: np.ndarray) -> np.ndarray:
    """sround: from Q30 to Q15."""
    return wrapped(x + (1 << 14) >> 15)


def divided(z: np.ndarray, divisor: int) -> np.ndarray:
    """C_FIXDIV"""
    return rounded(z * (32767 // divisor))


def product(z: np.ndarray, w: np.ndarray) -> np.ndarray:
    """C_MUL"""
    re = z[..., 0] * w[..., 0] - z[..., 1] * w[..., 1]
    im = z[..., 0] * w[..., 1] + z[..., 1] * w[..., 0]
    return rounded(np.stack([re, im], axis=-1))


def factor(angle: np.ndarray) -> np.ndarray:
    """kf_cexp(-angle)"""
    return np.floor(0.5 + 32767 * np.stack([np.cos(angle), -np.sin(angle)], axis=-1)).astype(np.int64)


def shifted(x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """FftCompute: samples scaled up, in 16 bits, and 512 of them with zeros behind."""
    return wrapped(x << shift[:, None])


def bits(x: np.ndarray) -> np.ndarray:
    """MostSignificantBit32 and -64: how long a number below 2^53 is."""
    return np.frexp(np.asarray(x, float))[1].astype(np.int64)


def digits_reversed() -> np.ndarray:
    """Which element each place takes before the first stage: kf_work goes down by every fourth, four times."""
    i = np.arange(256)
    return (i & 3) << 6 | (i & 12) << 2 | (i & 48) >> 2 | i >> 6


def stage(z: np.ndarray, m: int) -> np.ndarray:
    """kf_bfly4 on every group of 4 * m."""
    groups = divided(z, 4).reshape(-1, 64 // m, 4, m, 2)
    turns = 2 * np.pi / (4 * m) * np.arange(m)
    a, b, c, d = (groups[:, :, i] for i in range(4))
    b, c, d = (product(v, factor(i * turns)) for i, v in enumerate((b, c, d), 1))
    even, odd, both, rest = wrapped(a + c), wrapped(a - c), wrapped(b + d), wrapped(b - d)
    rest = np.stack([rest[..., 1], -rest[..., 0]], axis=-1)  # -i times
    out = np.stack([even + both, odd + rest, even - both, odd - rest], axis=2)
    return wrapped(out).reshape(z.shape)


def spectrum(z: np.ndarray) -> np.ndarray:
    """kiss_fftr's last loop: bins 1..255 of the real transform, [calls, 255, 2]; the middle one is written twice."""
    conjugate = wrapped(z * [1, -1])
    near, far = divided(z[:, 1:129], 2), divided(conjugate[:, 255:127:-1], 2)
    total = wrapped(near + far)
    turned = product(wrapped(near - far), factor(np.pi * (np.arange(1, 129) / 256 + 0.5)))
    low = wrapped(total + turned >> 1)
    high = wrapped(np.stack([total[..., 0] - turned[..., 0], turned[..., 1] - total[..., 1]], axis=-1) >> 1)
    return np.concatenate([low[:, :-1], high[:, ::-1]], axis=1)


def energies(z: np.ndarray) -> np.ndarray:
    """FilterbankConvertFftComplexToEnergy of bins 1..255."""
    bins = spectrum(z)
    return (bins * bins).sum(axis=-1)
