"""On CPython every viper kernel is the checked one; see viper.py. Ctrl-C is heard, whoever started the tests."""

import signal

import viper

viper.install()
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # in a shell's background; what the tests start would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
