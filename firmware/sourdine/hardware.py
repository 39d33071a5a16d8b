"""The real chip. The only module that imports machine, network or esp32; everything else gets parts by role."""

import select
import time

import esp32
import machine
import network
from machine import ADC, I2S, Pin

from sourdine import pins, spec
from sourdine.dsp import spread

EPOCH = 946_684_800 if time.gmtime(0)[0] == 2000 else 0  # Unix time of this port's own zero
RX_RING = 40_960  # bytes of I2S receive ring: 20 DMA buffers, 320 ms to ride over TLS and garbage collection
TX_RING = 8_192  # bytes
WS2812 = (400, 850, 800, 450)  # ns: high and low of a 0, high and low of a 1 (WS2812B datasheet, p. 4)


class Hardware:
    """The board's parts. Nothing is started here but the pins, each in its safe state."""

    def __init__(self):
        machine.freq(240_000_000)
        self.clock = time
        self.heartbeat = Pin(pins.HB, Pin.OUT, value=0)
        self.amplifier = Pin(pins.AMP_SD, Pin.OUT, value=0)
        self.released = Pin(pins.SW_SENSE, Pin.IN)
        self._rail = ADC(Pin(pins.MIC_SENSE), atten=ADC.ATTN_11DB)
        self._led = Pin(pins.LED, Pin.OUT, value=0)
        self._timer = machine.Timer(0)

    def rail_mv(self):
        """The microphone's supply, mV, from its own wire."""
        return self._rail.read_uv() // 1000

    def pixel(self, colour):
        """Three bytes, green red blue, to the LED."""
        machine.bitstream(self._led, 0, WS2812, colour)

    def open_mic(self):
        """Start the receiver: 32-bit mono words, the left slot."""
        return Receiver(
            I2S(
                0,
                sck=Pin(pins.MIC_SCK),
                ws=Pin(pins.MIC_WS),
                sd=Pin(pins.MIC_SD),
                mode=I2S.RX,
                bits=32,
                format=I2S.MONO,
                rate=spec.SAMPLE_RATE,
                ibuf=RX_RING,
            )
        )

    def open_speaker(self):
        """Start the transmitter: takes 16-bit mono."""
        return Transmitter(
            I2S(
                1,
                sck=Pin(pins.AMP_BCLK),
                ws=Pin(pins.AMP_LRC),
                sd=Pin(pins.AMP_DIN),
                mode=I2S.TX,
                bits=16,
                format=I2S.STEREO,
                rate=spec.SAMPLE_RATE,
                ibuf=TX_RING,
            )
        )

    def every(self, hertz, beat):
        """Call beat(timer) so many times a second, while the program runs freely enough."""
        self._timer.init(mode=machine.Timer.PERIODIC, freq=hertz, callback=beat)

    def watchdog(self, timeout_ms):
        """Start the watchdog, which cannot be stopped, or give it another time. Returns its feed()."""
        return machine.WDT(timeout=timeout_ms).feed

    def store(self, namespace):
        """Non-volatile counters and blobs."""
        return esp32.NVS(namespace)

    def wifi(self, ssid, password):
        """The station, connecting by itself from now on."""
        return Wifi(network.WLAN(network.STA_IF), ssid, password)

    def set_time(self, unix):
        """Set the clock to seconds since 1970, UTC."""
        year, month, day, hour, minute, second, weekday = time.gmtime(unix - EPOCH)[:7]
        machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))

    def stop(self):
        """Let go of everything that makes sound or hears."""
        self._timer.deinit()
        self.heartbeat(0)
        self.amplifier(0)
        self.pixel(b"\0\0\0")


class Receiver:
    """I2S that lets timers run while it waits.

    The port's blocking read waits inside C, and no scheduled callback runs meanwhile: the relay's heartbeat would
    stop. Polled once, the driver returns what DMA holds instead (MicroPython, extmod/machine_i2s.c, ASYNCIO mode).
    DMA hands over spec.DMA_FRAMES at a time, a multiple of PIECE, so a piece arrives whole or not at all.
    """

    PIECE = 32  # frames

    def __init__(self, i2s):
        poll = select.poll()
        poll.register(i2s, select.POLLIN)
        poll.poll(0)
        self._i2s = i2s
        self._buffer = None
        self._pieces = ()

    def readinto(self, buffer):
        """Fill a buffer of 32-bit words, a multiple of PIECE; waits a millisecond at a time.

        Returns ticks_us() of the last time that nothing was there, or None.
        """
        if buffer is not self._buffer:
            self._cut(buffer)
        empty = None
        for piece in self._pieces:
            asked = time.ticks_us()
            while not self._i2s.readinto(piece):
                empty = asked
                time.sleep_ms(1)
                asked = time.ticks_us()
        return empty

    def _cut(self, buffer):
        # Apart from readinto(), which would make a cell for each name that a comprehension closes over, at every call.
        view = memoryview(buffer)
        self._pieces = [view[at : at + self.PIECE] for at in range(0, len(buffer), self.PIECE)]
        self._buffer = buffer


class Transmitter:
    """I2S that says one sample on both sides.

    The port's own 16-bit mono is not to be relied on: an S3 was seen to put every other sample on the left
    (MicroPython issue 11635), and an ESP32's FIFO takes two samples in swapped order. In stereo, with both sides
    the same, no order of halves can be heard.
    """

    def __init__(self, i2s):
        self._i2s = i2s
        self._both = memoryview(bytearray(4 * spec.DMA_FRAMES))
        self._block = self._both[: 4 * spec.HOP]

    def write(self, block):
        """Queue bytes of int16 samples, at most spec.DMA_FRAMES of them; waits when the ring is full."""
        samples = len(block) // 2
        spread(block, self._both, samples)
        self._i2s.write(self._block if samples == spec.HOP else self._both[: 4 * samples])


class Wifi:
    """A station that keeps trying; the driver reconnects on its own."""

    def __init__(self, station, ssid, password):
        self._station = station
        self._login = (ssid, password)
        self.bounce()

    def connected(self):
        """Whether there is an address to send from."""
        return self._station.isconnected()

    def bounce(self):
        """Off and on again, and begin to connect.

        Also the way to start: a soft reset leaves the radio as it was, and a station that still tries to connect
        refuses a login (MicroPython issue 17661).
        """
        self.off()
        station = self._station
        station.active(True)
        station.config(pm=station.PM_NONE)  # a radio that sleeps between beacons answers 100 ms late and more
        station.connect(*self._login)

    def off(self):
        """Off: what the network stack still held to send is gone.

        ESP-IDF clears all connections when the station is disconnected (Wi-Fi guide, WIFI_EVENT_STA_DISCONNECTED).
        """
        station = self._station
        if station.active():
            station.disconnect()  # else the port, hearing that the radio stops, would connect by itself
        station.active(False)
