"""The board's twin keeps the circuit's promises, and real mpremote takes it for a board."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import littlefs
import numpy as np
import pytest

from rig import Rig, event, kinds
from sourdine_board import circuit, pinmap
from sourdine_board.mistake import Mistake
from sourdine_board.twin import Board
from sourdine_board.twin.marks import bits

MPREMOTE = Path(sys.executable).with_name("mpremote")

# mpremote, unmodified


@pytest.fixture(scope="module")
def idle(tmp_path_factory):
    with Board(tmp_path_factory.mktemp("idle")) as board:
        yield board


def mpremote(board: Board, *arguments: str, status: int = 0) -> str:
    command = [MPREMOTE, "connect", board.tty, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_mpremote_copies_lists_hashes_and_removes(idle, tmp_path):
    data = bytes(range(256)) * 37
    (tmp_path / "data.bin").write_bytes(data)
    mpremote(idle, "fs", "mkdir", ":deep", "+", "fs", "cp", str(tmp_path / "data.bin"), ":deep/data.bin")
    assert "9472 data.bin" in mpremote(idle, "fs", "ls", ":deep")
    tree = mpremote(idle, "fs", "tree", ":")
    assert "deep" in tree
    assert "data.bin" in tree
    assert hashlib.sha256(data).hexdigest() in mpremote(idle, "fs", "sha256sum", ":deep/data.bin")
    mpremote(idle, "fs", "cp", ":deep/data.bin", str(tmp_path / "back.bin"))
    assert (tmp_path / "back.bin").read_bytes() == data
    assert "2097152" in mpremote(idle, "df")
    mpremote(idle, "fs", "rm", "-r", ":deep")
    assert "deep" not in mpremote(idle, "fs", "ls", ":")


def test_mpremote_runs_programs_and_mounts_a_folder(idle, tmp_path):
    (tmp_path / "hello.py").write_text("import sys\nprint(sys.platform, sys.implementation._machine)\n")
    assert "esp32 Sourdine" in mpremote(idle, "run", str(tmp_path / "hello.py"))
    noise = bytes(range(256)) * 20  # with Ctrl-C in it: under a mount it is a byte like any other
    (tmp_path / "noise.bin").write_bytes(noise)
    script = "d = open('noise.bin', 'rb').read(); print(len(d), d == bytes(range(256)) * 20); import hello"
    assert "5120 True" in mpremote(idle, "mount", str(tmp_path), "exec", script)


def test_soft_reset_clears_names_and_resume_keeps_them(idle):
    mpremote(idle, "exec", "kept = 41")
    assert mpremote(idle, "resume", "exec", "print(kept + 1)").strip() == "42"
    mpremote(idle, "soft-reset")
    assert "NameError" in mpremote(idle, "resume", "exec", "kept", status=1)


def test_every_reset_has_its_cause(idle):
    seen = len(idle.trace)
    mpremote(idle, "reset")
    assert idle.wait("boot", after=seen, cause="HARD")
    idle.wait("repl", after=seen, timeout=10)
    assert mpremote(idle, "resume", "exec", "import machine; print(machine.reset_cause())").strip() == "2"
    assert mpremote(idle, "exec", "import machine; print(machine.reset_cause())").strip() == "5"
    seen = len(idle.trace)
    mpremote(idle, "exec", "--no-follow", "import machine; machine.WDT(timeout=200)")
    idle.wait("boot", after=seen, cause="WDT")
    idle.wait("repl", after=seen, timeout=10)
    assert mpremote(idle, "resume", "exec", "import machine; print(machine.reset_cause())").strip() == "3"


def test_watchdog_bites_at_the_prompt_and_outlives_a_soft_reset(idle):
    seen = len(idle.trace)
    mpremote(idle, "exec", "import machine; machine.WDT(timeout=60_000)")
    mpremote(idle, "exec", "import machine; machine.WDT(timeout=1_500)")  # a second one times the same dog anew
    mpremote(idle, "soft-reset")
    assert idle.wait("boot", after=seen, timeout=10, cause="WDT")
    idle.wait("repl", after=seen, timeout=10)


def test_a_looping_program_is_interrupted(tmp_path):
    with Rig(tmp_path, "while True: pass") as rig:
        assert mpremote(rig.board, "exec", "print(6 * 7)").strip() == "42"


def test_a_chip_whose_room_is_over_still_answers(tmp_path):
    with Rig(tmp_path, "while True: time.sleep_ms(10)") as rig:
        rig.play(1.0)
        assert mpremote(rig.board, "exec", "import time; time.sleep(3600); print(6 * 7)").strip() == "42"
        mpremote(rig.board, "reset")
        assert mpremote(rig.board, "exec", "print(6 * 9)").strip() == "54"


def test_a_pulled_cable_ends_the_clients_session_and_the_path_comes_back(idle, tmp_path):
    (tmp_path / "big.bin").write_bytes(bytes(200_000))
    idle.unplug(after_bytes=20_000)
    mpremote(idle, "fs", "cp", str(tmp_path / "big.bin"), ":big.bin", status=1)
    assert not Path(idle.tty).exists()
    idle.plug()
    assert "boot.py" in mpremote(idle, "fs", "ls", ":")


def test_two_boards_do_not_share_a_folder(idle):
    with pytest.raises(Mistake, match="another twin runs in"), Board(idle.state):
        pass
    assert "boot.py" in mpremote(idle, "fs", "ls", ":")


def test_a_bare_chip_repeats_its_roms_complaint_and_answers_nothing(tmp_path):
    with Board(tmp_path, bare=True) as board, open(board.tty, "rb+", buffering=0) as port:
        port.write(b"\r\x03\x01")
        said = b"".join(port.read(200) for _ in range(8))
    assert b"invalid header: 0xffffffff" in said
    assert b"raw REPL" not in said


# the circuit


def test_the_relay_holds_in_the_band_and_never_outside(tmp_path):
    low, high = circuit.HEARTBEAT_NEVER_HZ
    band = circuit.HEARTBEAT_BAND_HZ
    hertz = (0, 1, low, *band, circuit.HEARTBEAT_HZ, high, 2 * high)
    main = f"""
    for hertz in {hertz}:
        end = time.ticks_add(time.ticks_ms(), 500)
        seen = 0
        while time.ticks_diff(end, time.ticks_ms()) > 0:
            if hertz:
                hb(1); time.sleep_us(500_000 // hertz); hb(0); time.sleep_us(500_000 // hertz)
            else:
                hb(1); time.sleep_ms(1)
            seen = max(seen, rail.read_uv())
        tell(hertz, seen, rail.read_uv())
        hb(0)
        time.sleep_ms(300)
    """
    with Rig(tmp_path, main) as rig:
        rig.play(8.0)
        live = circuit.sense_uv()["MIC_SENSE"]
        told = {hertz: seen for hertz, *seen in rig.told()}
    assert told == {hertz: [live, live] if band[0] <= hertz <= band[1] else [0, 0] for hertz in hertz}


def test_stray_pulses_at_boot_never_pull_the_relay_in(tmp_path):
    main = f"""
    for _ in range({circuit.BOOT_PULSES}):
        hb(1); time.sleep_us(1250); hb(0); time.sleep_us(1250)
    time.sleep_ms(300)
    """
    with Rig(tmp_path, main) as rig:
        assert not kinds(rig.play(1.0), "contact")


def test_both_sense_lines_tell_the_wires_truth(tmp_path):
    main = """
    coils, switch = ADC(Pin(SW_SENSE), atten=ADC.ATTN_11DB), Pin(SW_SENSE, Pin.IN)
    for at, command in ((700, 0), (1200, 1), (1700, 1), (2200, 1)):
        if command:
            hold()
        time.sleep_ms(at - time.ticks_ms())
        tell(rail.read_uv(), coils.read_uv(), switch())
    """
    with Rig(tmp_path, main) as rig:
        rig.play(3.0, event(1.5, "press") + event(2.0, "release"))
        live, supplied = (circuit.sense_uv()[role] for role in ("MIC_SENSE", "SW_SENSE"))
        assert rig.told() == [[0, supplied, 1], [live, supplied, 1], [0, 0, 0], [live, supplied, 1]]


@pytest.mark.parametrize("level", [0, 1])
def test_a_stopped_heartbeat_drops_the_relay_in_the_simulated_time(tmp_path, level):
    main = f"""
    hold(); time.sleep_ms(500); beat.deinit(); hb({level})
    machine.Pin(LED)
    time.sleep(1)
    """
    with Rig(tmp_path, main) as rig:
        board = rig.play(2.0)
        closed, opened = kinds(board, "contact")
    assert (closed["closed"], opened["closed"]) == (True, False)
    nominal = 113_600 if level else 99_600  # ngspice, 4.75 V, 25 °C
    assert abs(opened["us"] - 800_000 - nominal) < 8_000


def test_the_button_cuts_within_its_time_whatever_the_program_does(tmp_path):
    with Rig(tmp_path, "hold()\nlisten(microphone(), 10**9)") as rig:
        board = rig.play(3.0, "noise_dbfs = -40.0\n" + event(1.5, "press") + event(2.0, "release"))
        heard = rig.heard()
        contacts = [(at["us"], at["closed"]) for at in kinds(board, "contact")]
    cut = 1_500_000 + round(circuit.BUTTON_CUT_MS * 1000)
    assert contacts[1] == (cut, False)
    first = -(-cut * 16 // 1000)
    assert heard[first - 160 : first].all() or np.count_nonzero(heard[first - 160 : first]) > 150
    assert not heard[first:32_000].any()
    again = contacts[2][0] * 16 // 1000 + circuit.MIC_STARTUP_FRAMES  # and then the microphone wakes up slowly
    assert not heard[32_000:again].any()
    assert heard[again + 1 : again + 1000].any()


def test_the_microphone_is_silent_without_a_heartbeat(tmp_path):
    with Rig(tmp_path, "listen(microphone(), 10**9)") as rig:
        rig.play(1.0, "noise_dbfs = -30.0\n")
        assert not rig.heard().any()


def test_a_welded_contact_stays_live_and_the_button_still_cuts(tmp_path):
    main = "hold(); time.sleep_ms(500); beat.deinit(); hb(0)\nlisten(microphone(), 10**9)"
    with Rig(tmp_path, main) as rig:
        board = rig.play(3.0, event(0.6, "weld") + event(2.0, "press"))
        assert [(at["us"], at["closed"]) for at in kinds(board, "contact")][1:] == [(2_002_500, False)]


def test_marked_samples_keep_their_last_bit_and_arrive_as_the_chip_shifts_them(tmp_path):
    main = """
    hold()
    i2s = microphone()
    listen(i2s, 16_000)
    while not i2s.readinto(words):
        time.sleep_ms(1)
    tell([word >> 13 for word in words])
    """
    with Rig(tmp_path, main) as rig:
        board = rig.play(2.0, "marks = true\n")
        heard, (samples,) = rig.heard(), rig.told()[0]
        first = kinds(board, "i2s")[0]["index0"] + 16_000
    assert samples == heard[first : first + 32].tolist()
    assert (np.array(samples) & 1).tolist() == bits(first + 32)[first:].tolist()


def test_unread_samples_are_dropped_oldest_first_and_counted(tmp_path):
    main = """
    hold()
    i2s = microphone()
    listen(i2s, 3200)
    while not i2s.readinto(words):
        time.sleep_ms(1)
    time.sleep_ms(1000)
    listen(i2s, 16_000)
    """
    with Rig(tmp_path, main) as rig:
        board = rig.play(3.0)
        (lost,) = kinds(board, "overrun")
        index0 = kinds(board, "i2s")[0]["index0"]
    assert (lost["index"] - index0) % 256 == 0
    assert lost["frames"] == 256 * ((1000 // 16) - 19)  # the ring keeps 19 of the quanta of that second


def test_timers_run_during_a_sleep_but_not_during_a_blocking_read(tmp_path):
    main = """
    ticks = 0
    def tick(timer):
        global ticks
        ticks += 1
    Timer(1).init(mode=Timer.PERIODIC, freq=800, callback=tick)
    time.sleep_ms(100)
    tell(ticks)
    i2s = I2S(0, sck=Pin(MIC_SCK), ws=Pin(MIC_WS), sd=Pin(MIC_SD), mode=I2S.RX, bits=32, format=I2S.MONO,
              rate=16000, ibuf=40960)
    ticks = 0
    i2s.readinto(array("i", bytes(4 * 1600)))  # 100 ms inside C: the scheduler's queue holds eight
    tell(ticks)
    """
    with Rig(tmp_path, main) as rig:
        rig.play(1.0)
        assert rig.told() == [[80], [8]]


def test_the_speaker_is_recorded_and_the_microphone_hears_it(tmp_path):
    main = """
    hold()
    amp = Pin(AMP_SD, Pin.OUT, value=1)
    out = I2S(1, sck=Pin(AMP_BCLK), ws=Pin(AMP_LRC), sd=Pin(AMP_DIN), mode=I2S.TX, bits=16, format=I2S.STEREO,
              rate=16000, ibuf=8192)
    i2s = microphone()
    listen(i2s, 16_000)
    poll = select.poll()
    poll.register(out, select.POLLOUT)
    poll.poll(0)
    started = time.ticks_ms()
    sound = memoryview(array("h", [20_000, 20_000, -20_000, -20_000] * 4_000))
    while sound:
        sound = sound[out.write(sound[:256]) // 2 :]
        time.sleep_ms(1)
    tell(time.ticks_diff(time.ticks_ms(), started))
    listen(i2s, 32_000)
    """
    with Rig(tmp_path, main) as rig:
        board = rig.play(4.0, "[speaker]\ncoupling_db = -20.0\n")
        heard, spoken = rig.heard(), np.frombuffer(board.spoken(), "<i2")
        (took_ms,) = rig.told()[0]
        start = int(np.flatnonzero(spoken)[0])
    assert spoken[start : start + 8_000].tolist() == [20_000, -20_000] * 4_000
    assert 8_000 - 2_048 - 256 <= took_ms * 16 <= 8_000 - 2_048 + 256  # all but the ring had to play first
    middle = heard[start + 4_000 : start + 4_100].astype(int)
    assert abs(np.abs(middle).mean() - 2_000) < 20
    assert np.abs(heard[start - 500 : start].astype(int)).max() < 100


# time, resets, memory


def test_a_reset_in_mid_room_continues_the_room_and_each_has_its_cause(tmp_path):
    main = """
    tell(machine.reset_cause(), time.time(), time.ticks_ms())
    if machine.reset_cause() == machine.PWRON_RESET and time.ticks_ms() < 1000:
        machine.RTC().datetime((2026, 3, 1, 6, 12, 0, 0, 0))
        machine.reset()
    if machine.reset_cause() == machine.HARD_RESET:
        machine.WDT(timeout=1000)
    hold()
    listen(microphone(), 10**9)
    """
    with Rig(tmp_path, main) as rig:
        board = rig.play(6.0, event(4.0, "power_cycle", 500))
        told = rig.told()
        boots = [(boot["us"], boot["cause"]) for boot in kinds(board, "boot")]
    march = 825_681_600  # seconds from 2000 to 2026-03-01 12:00
    assert told == [[1, 0, 300], [2, march, 600], [3, march + 1, 1900], [1, 0, 4800]]
    assert [cause for _, cause in boots] == ["PWRON", "HARD", "WDT", "PWRON"]
    assert [contact["closed"] for contact in kinds(board, "contact")] == [True, False, True, False, True]


def test_a_hang_is_ended_by_the_watchdog_and_a_stall_is_not(tmp_path):
    main = """
    dog = machine.WDT(timeout=2000)
    hold()
    i2s = microphone()
    while True:
        listen(i2s, 160)
        dog.feed()
    """
    with Rig(tmp_path, main) as rig:
        board = rig.play(8.0, event(1.0, "stall", 1500) + event(4.0, "hang"))
        boots = kinds(board, "boot")
    assert [boot["cause"] for boot in boots] == ["PWRON", "WDT"]
    assert 5_900_000 < boots[1]["us"] <= 6_000_000


def test_the_same_room_and_program_give_the_same_trace(tmp_path):
    main = "hold()\ni2s = microphone()\nwhile True:\n    listen(i2s, 320)\n    tell(time.ticks_us(), words[0])"
    rest = "noise_dbfs = -50.0\n" + event(0.9, "press") + event(1.2, "release") + event(1.5, "stall", 700)
    traces = []
    with Rig(tmp_path, main) as rig:
        for _ in range(2):
            rig.board.console = b""
            traces.append((rig.play(3.0, rest).trace, rig.told(), rig.heard().tobytes()))
    assert traces[0] == traces[1]
    assert len(traces[0][1]) > 100


def test_a_loaded_host_changes_nothing(tmp_path):
    main = "hold()\ni2s = microphone()\nwhile True:\n    listen(i2s, 320)\n    tell(time.ticks_us(), words[0])"
    with Rig(tmp_path, main) as rig:
        calm = rig.play(4.0, event(2.0, "press")).trace
        told = rig.told()
        stops = []

        def stop(happened):
            if happened["kind"] in ("i2s", "contact", "button"):
                stops.append(happened)
                chip = rig.board.chip_process
                os.kill(chip, signal.SIGSTOP)
                time.sleep(0.3)
                os.kill(chip, signal.SIGCONT)

        rig.board.console = b""
        rig.board.watch(on_event=stop)
        assert rig.play(4.0, event(2.0, "press")).trace == calm
        assert rig.told() == told
    assert len(stops) == 4


def test_on_the_wall_clock_a_second_takes_a_second(tmp_path):
    main = """
    hold()
    i2s = microphone()
    listen(i2s, 16_000)
    tell(time.ticks_ms(), rail.read_uv())
    """
    with Rig(tmp_path, main, clock="wall") as rig:
        started = time.monotonic()
        rig.play(2.0)
        took_s = time.monotonic() - started
        ((at_ms, microvolts),) = rig.told()
    assert took_s >= 2.0
    assert 1_300 <= at_ms < 1_300 + 1000 * took_s
    assert microvolts == circuit.sense_uv()["MIC_SENSE"]


def test_on_the_wall_clock_a_stuck_program_is_bitten(tmp_path):
    main = """
    if machine.reset_cause() == machine.PWRON_RESET:
        machine.WDT(timeout=300)
        while True:
            pass
    tell(machine.reset_cause())
    """
    with Rig(tmp_path, main, clock="wall") as rig:
        rig.play(1.5)
        assert rig.told() == [[3]]


def test_a_brownout_restarts_the_chip_and_drops_the_relay(tmp_path):
    main = "hold()\ntell(machine.reset_cause(), time.ticks_ms(), time.time())\nlisten(microphone(), 10**9)"
    with Rig(tmp_path, main) as rig:
        board = rig.play(3.0, event(1.0, "brownout"))
        assert rig.told() == [[1, 300, 0], [1, 1500, 0]]
        assert [contact["closed"] for contact in kinds(board, "contact")] == [True, False, True]


def test_flash_survives_a_kill_at_any_moment(tmp_path):
    main = """
    import os
    try:
        tell(int(open("count").read()))
    except OSError:
        tell(0)
    count = 0
    while True:
        with open("count.new", "w") as file:
            file.write(str(count))
        os.rename("count.new", "count")
        count += 1
    """
    with Rig(tmp_path, main, clock="wall") as rig:
        for after_s in (0.05, 0.11, 0.17, 0.23):
            rig.start(60.0)
            rig.board.wait("ready")
            time.sleep(after_s)
            os.kill(rig.board.chip_process, signal.SIGKILL)
        disk = littlefs.LittleFS(block_size=4096, block_count=512, mount=False)
        disk.context.buffer = bytearray(rig.board.flash_image.read_bytes())
        disk.mount()
        assert int(disk.open("count").read()) > 0


def test_the_room_can_cut_the_usb_cable(tmp_path):
    with Rig(tmp_path, "while True: time.sleep(1)") as rig:
        board = rig.play(2.0, event(0.5, "usb_out"))
        assert not Path(board.tty).exists()
        rig.play(2.0, event(0.5, "usb_out") + event(1.0, "usb_in"))
        assert Path(board.tty).exists()


def test_the_command_runs_a_room_and_ends_with_ctrl_c(tmp_path):
    room = tmp_path / "room.toml"
    room.write_text("seconds = 1\n" + event(0.5, "press"))
    command = [MPREMOTE.with_name("sourdine"), "twin", room, "--state", tmp_path / "state", "--clock", "virtual"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as twin:
        assert twin.stdout
        lines = []
        for line in twin.stdout:
            lines.append(line)
            if "the room is over" in line:
                break
        twin.send_signal(signal.SIGINT)
        assert twin.wait(10) == 130
    assert lines[0].split() == ["tty", str(tmp_path / "state" / "tty")]
    assert any("mute button in" in line for line in lines)


def test_the_clock_starts_in_2000_and_a_busy_wait_comes_to_an_end(tmp_path):
    main = """
    tell(time.gmtime()[:3], time.gmtime(0)[:3], time.mktime(time.gmtime(700_000_000)))
    started = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), started) < 50:
        pass
    tell(time.ticks_diff(time.ticks_ms(), started))
    """
    with Rig(tmp_path, main) as rig:
        rig.play(1.0)
        assert rig.told() == [[[2000, 1, 1], [2000, 1, 1], 700_000_000], [50]]


def test_storage_survives_a_loss_of_power_once_committed(tmp_path):
    main = """
    import esp32
    nvs = esp32.NVS("test")
    try:
        blob = bytearray(8)
        tell(nvs.get_i32("number"), nvs.get_blob("blob", blob), list(blob))
        nvs.get_i32("late")
    except OSError as error:
        tell(error.errno)
        nvs.set_i32("number", -7)
        nvs.set_blob("blob", b"\\0\\xff\\3")
        nvs.commit()
        nvs.set_i32("late", 1)
    """
    with Rig(tmp_path, main) as rig:
        board = rig.play(3.0, event(1.0, "power_cycle"))
        assert rig.told() == [[-0x1102], [-7, 3, [0, 255, 3, 0, 0, 0, 0, 0]], [-0x1102]]
        assert len(kinds(board, "nvs")) == 2


def test_the_heap_is_bounded(tmp_path):
    main = """
    import gc
    tell(gc.mem_free())
    try:
        bytearray(220_000)
    except MemoryError:
        tell("full")
    """
    with Rig(tmp_path, main, heap=200 << 10) as rig:
        rig.play(1.0)
        (free,), told = rig.told()
    assert 180_000 < free < 220_000
    assert told == ["full"]


def test_costs_and_probes_are_put_around_methods(tmp_path):
    files = {
        "ears.py": "class Ear:\n    score = 5\n    def hear(self, n):\n        self.score += n\n        return n > 1\n"
    }
    main = """
    import ears
    ear = ears.Ear()
    before = time.ticks_us()
    tell(ear.hear(1), ear.hear(2), time.ticks_diff(time.ticks_us(), before) // 1000)
    """
    rest = '[costs]\n"ears.Ear.hear" = 2000\n[probes]\n"ears.Ear.hear" = "score"\n'
    with Rig(tmp_path, main, files) as rig:
        board = rig.play(1.0, rest)
        assert rig.told() == [[False, True, 4]]
        assert [(probe["value"], probe["result"]) for probe in kinds(board, "probe")] == [(6, False), (8, True)]


@pytest.mark.parametrize("profile", circuit.PROFILES)
def test_the_firmwares_pins_fit_the_board(tmp_path, profile):
    main = """
    from sourdine import pins
    machine.bitstream(Pin(pins.LED, Pin.OUT), 0, (400, 850, 800, 450), b"\\x01\\x02\\x03")
    button = Pin(pins.BTN_ACT, Pin.IN, Pin.PULL_UP)
    tell(pins.CHIP, pins.MIC_SCK, button())
    time.sleep_ms(500)
    tell(button())
    """
    files = {"sourdine/__init__.py": "", "sourdine/pins.py": pinmap.text()}
    with Rig(tmp_path, main, files, profile=profile) as rig:
        board = rig.play(1.0, event(0.5, "action_down"))
        expected = circuit.PROFILES[profile]
        assert rig.told() == [[expected.chip, expected.pins["MIC_SCK"], 1], [0]]
        assert [led["rgb"] for led in kinds(board, "led")] == [[2, 1, 3]]
        assert not kinds(board, "violation")


def test_a_leg_that_must_stay_unused_is_reported(tmp_path):
    main = """
    Pin(19, Pin.OUT)
    import socket
    try:
        socket.socket().bind(("0.0.0.0", 80))
    except OSError:
        tell("refused")
    """
    with Rig(tmp_path, main) as rig:
        board = rig.play(1.0)
        assert rig.told() == [["refused"]]
        assert [violation["what"] for violation in kinds(board, "violation")] == ["pin", "bind"]
