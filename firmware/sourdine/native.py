"""The one seam between viper and plain Python.

On the chip `micropython` is real, and the compiler reads `@micropython.viper` and `ptr16` as words of its
own. Elsewhere these stand-ins let the same file import; tests/viper.py gives them their 32-bit meaning.
"""

try:
    import micropython
except ImportError:

    class micropython:  # type: ignore[no-redef]
        """Decorators that leave a function as it is."""

        viper = native = staticmethod(lambda function: function)
        const = staticmethod(lambda value: value)


ptr8 = ptr16 = ptr32 = uint = None
