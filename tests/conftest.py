"""On CPython every viper kernel is the checked one; see viper.py."""

import viper

viper.install()
