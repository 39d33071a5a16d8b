"""Cycles from counts: a model of the two Xtensa pipelines, not a measurement.

"lx7" is the ESP32-S3's core with five stages, "lx6" the ESP32's with seven (ESP-IDF, core-isa.h:
XCHAL_DATA_PIPE_DELAY is 1 and 2). Both issue at most one instruction a cycle, in order, and predict nothing.
The model knows instructions in internal RAM, where MicroPython puts native code, and data in internal RAM. It leaves
out cache misses (data in PSRAM), a full write buffer, spilled register windows, interrupts and the other core.
Until a board has calibrated it (`sourdine bench chip --port`), take every figure as good to UNCERTAINTY.

Sources of the penalties, extra cycles beyond the instruction's own:
[ISA]  Xtensa Instruction Set Architecture Reference Manual, Tensilica 2010, 8.4.1 and 8.4.2, pp. 605-609.
[TRM]  ESP32-S3 Technical Reference Manual, 1.7.1 and 1.7.3: data and control hazards.
[GCC]  gcc/config/xtensa/xtensa.md, "Pipeline model": results of loads and multiplications take two cycles.
[IDF]  github.com/espressif/esp-idf/issues/85: a loop of two additions and a branch takes 5 cycles on a core of five
       stages (ESP8266) and 6 on the ESP32.
[WLED] github.com/wled/WLED/issues/4206: 119 million divisions a second at 240 MHz, on ESP32 and ESP32-S3.
"""

from dataclasses import dataclass
from typing import Literal

from sourdine_tools.chip.counts import Counts
from sourdine_tools.chip.xtensa import Instruction, decode

HERTZ = 240_000_000
UNCERTAINTY = 0.30  # of every figure, either way: until calibrated on silicon

FETCH = 4  # bytes that one fetch brings, aligned (core-isa.h, XCHAL_INST_FETCH_WIDTH; [ISA])
ACROSS_FETCHES = 1  # a taken branch to an instruction that two fetches bring [ISA]
DIVIDE = 9  # a division: between 1 [WLED, easy operands] and about 12, it ends early for small quotients
HELPER_CYCLES = 2.0  # a helper's instruction: C in flash, behind a cache that the whole interpreter shares (a guess)
ALWAYS = {"jump", "call", "return"}  # even when the next instruction is the target
HELPER_DIVIDES = {"floor_divide", "modulo"}  # they contain one division each


@dataclass(frozen=True)
class Pipeline:
    """Penalties in cycles."""

    load_use: int  # between a load and an instruction that needs it: one less for each instruction between
    multiply_use: int  # likewise
    taken: int  # a branch that is taken, a jump, a call, a return


PIPELINES = {
    # load: [ISA] "two cycles after the load", [GCC]; multiply: [GCC]; taken: [ISA] two are killed, [TRM] 2 cycles
    "lx7": Pipeline(load_use=1, multiply_use=1, taken=2),
    # load: the data memory has one stage more (XCHAL_DATA_PIPE_DELAY); multiply: as on the LX7; taken: [IDF]
    "lx6": Pipeline(load_use=2, multiply_use=1, taken=3),
}


def cycles(counts: Counts, core: Literal["lx7", "lx6"] = "lx7") -> float:
    """Of the function (for xtensawin) and its helpers, as counted."""
    model, code = PIPELINES[core], counts.code
    instructions = {at: decode(code, at) for at in sorted(counts.pcs)}
    total = float(counts.own) + _stalls(counts, instructions, model)
    for at, instruction in instructions.items():
        times = counts.pcs[at] if instruction.kind in ALWAYS else counts.taken.get(at, 0)
        if times and instruction.leaves:
            total += times * (model.taken + _across(instructions, instruction.target))
        if instruction.kind == "call":  # and the return from it
            total += times * (model.taken + _across(instructions, at + instruction.size))
        if instruction.kind == "divide":
            total += counts.pcs[at] * DIVIDE
    for name, (calls, spent) in counts.helpers.items():
        total += HELPER_CYCLES * spent + DIVIDE * calls * (name in HELPER_DIVIDES)
    return total


def milliseconds(cycles: float) -> float:
    """At 240 MHz."""
    return cycles / HERTZ * 1e3


def _stalls(counts: Counts, instructions: dict[int, Instruction], model: Pipeline) -> int:
    """Cycles in which an instruction waits for a register.

    Along each run of neighbours, for the times that execution falls into the instruction from the one before. Whoever
    comes by a branch waits for nothing: that took as long as a load. A store waits for its data as for its address.
    """
    latency = {"load": model.load_use, "multiply": model.multiply_use}
    total = clock = after = 0
    before: Instruction | None = None
    ready: dict[int, int] = {}
    for at, instruction in instructions.items():
        fallen = 0
        if before and at == after:
            fallen = counts.pcs[at - before.size] - counts.taken.get(at - before.size, 0)
        if before and before.kind in ALWAYS:
            fallen = 0
        if not fallen:
            ready.clear()
        wait = max([0, *(ready.get(register, 0) - clock for register in instruction.reads)])
        total += wait * fallen
        clock += wait
        for register in instruction.writes:
            ready[register] = clock + 1 + latency.get(instruction.kind, 0)
        clock += 1
        before, after = instruction, at + instruction.size
    return total


def _across(instructions: dict[int, Instruction], target: int | None) -> int:
    """What it costs extra that the target is not within one fetch."""
    if target is None or target not in instructions:
        return 0
    return ACROSS_FETCHES * (target % FETCH + instructions[target].size > FETCH)
