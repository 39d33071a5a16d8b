"""What to tell somebody whose chip does not answer as MicroPython does.

The ROM's banner names the chip; "invalid header" is what it says of an erased flash
(esptool documentation, "Boot Log"; ESP-IDF, bootloader_utility).
"""

import re

# Words of ROM banners and of sys.implementation._machine → (esptool's chip, offset of the image, download page).
CHIPS = {
    "esp32s3": ("esp32s3", "0x0", "ESP32_GENERIC_S3"),
    "esp32": ("esp32", "0x1000", "ESP32_GENERIC"),
}
INVALID = "invalid header"
OTHERS = r"ESP-ROM:(esp32\w+)"


def chip_of(text: str) -> str | None:
    """The key of CHIPS that a ROM banner or a machine name speaks of."""
    words = text.lower().replace("-", "")
    if "esprom:esp32s3" in words or "with esp32s3" in words or words.endswith("esp32s3"):
        return "esp32s3"
    # Only the first ESP32's ROM says so: "ets Jun  8 2016" (revisions 0 to 2), "ets Jul 29 2019" (revision 3).
    if "ets jun" in words or "ets jul" in words or "with esp32" in words or words.endswith("esp32"):
        return "esp32"
    return None


def explain(port: str, said: str) -> str:
    """`said` is everything heard from the port while it refused the raw REPL."""
    other = re.search(OTHERS, said)
    if other and other[1] != "esp32s3":
        return f"{port} is an {other[1].upper()}: this firmware runs on ESP32-S3 and ESP32; choose another --port"
    if re.search(r"waiting for download", said, re.IGNORECASE):
        return f"{port} waits in its bootloader: press its reset button without BOOT; if that repeats, {recipe(port, said)}"
    if INVALID in said:
        return f"{port} is a chip without MicroPython: {recipe(port, said)}"
    if re.search(r"MicroPython|>>>|\bsourdine \d", said):
        return f"{port} runs MicroPython but does not listen: press its reset button and run this again"
    if chip_of(said):
        return f"{port} runs another program than MicroPython: {recipe(port, said)}"
    return (
        f"nothing on {port} answers as MicroPython does: check that this is the board's port and press its reset "
        f"button; if it never had MicroPython, {recipe(port, said)}"
    )


def recipe(port: str, said: str) -> str:
    """The exact lines that put MicroPython on the chip, erasing whatever it held."""
    chip = chip_of(said)
    lines = ["install it once (this erases the chip), then run this again:", "  pip install esptool"]
    for key in [chip] if chip else list(CHIPS):
        name, offset, page = CHIPS[key]
        run = f"python3 -m esptool --chip {name} --port {port}"
        if not chip:
            lines.append(f"  # for an {'ESP32-S3' if key == 'esp32s3' else 'ESP32'}:")
        lines += [
            f"  # FIRMWARE.bin: the newest release (1.24 or later) from micropython.org/download/{page}",
            f"  {run} erase_flash",
            f"  {run} --baud 460800 write_flash {offset} FIRMWARE.bin",
        ]
    lines += [
        "  # checksum: the download page publishes none, so compare `sha256sum FIRMWARE.bin` with that of a second",
        '  # download over another network; esptool then proves that the flash equals the file ("Hash of data verified").',
    ]
    return "\n".join(lines)
