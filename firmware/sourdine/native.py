"""The one seam between viper and plain Python, and between viper and the accelerator.

On the chip `micropython` is real, and the compiler reads `@micropython.viper` and `ptr16` as words of its
own. Elsewhere these stand-ins let the same file import; tests/viper.py gives them their 32-bit meaning.
"""

import gc
import sys

try:
    import micropython
except ImportError:

    class micropython:  # type: ignore[no-redef]
        """Decorators that leave a function as it is."""

        viper = native = staticmethod(lambda function: function)
        const = staticmethod(lambda value: value)


ptr8 = ptr16 = ptr32 = uint = None


_unusable = False  # sourdine/accel.mpy is there and does not load


def accelerate(room, kernels):
    """The last line of a room of kernels: where sourdine/accel.mpy is flashed, use its kernels that are proven equal.

    room     the module's name in sourdine
    kernels  its globals(), where they take the viper kernels' places

    proof.py says what is tried. Whatever differs, raises or is missing leaves viper in place, and is printed once.
    """
    global _unusable
    if _unusable:
        return
    try:
        from sourdine import accel
    except ImportError:  # as usual
        return
    except Exception as error:  # noqa: BLE001  made for another processor or MicroPython; too large; unreadable; …
        _unusable = True
        print(f"accelerator: {error} - viper stays")
        return
    import sourdine

    try:
        from sourdine import proof

        for name, why in proof.choose(room, kernels, accel):
            print(f"accelerator: {room}.{name} {why} - viper stays")
    except MemoryError as error:
        print(f"accelerator: {room} {error} - viper stays")
    if sys.modules.pop("sourdine.proof", None):
        del sourdine.proof  # its memory is for those who listen
    gc.collect()
