"""The pipeline model: what each instruction is, and what neighbours cost each other."""

import random
import re
import subprocess

import pytest

from sourdine_tools.chip.counts import Counts
from sourdine_tools.chip.pipeline import cycles, milliseconds
from sourdine_tools.chip.xtensa import M0, decode

# w is a register that is written, r one that is read, x one that is both; "there" is a label, 60 bytes on.
INSTRUCTIONS = {
    "load": "l8ui w, r, 3|l16ui w, r, 6|l16si w, r, 6|l32i w, r, 8|l32i.n w, r, 8|l32r w, back",
    "store": "s8i r, r, 3|s16i r, r, 6|s32i r, r, 8|s32i.n r, r, 8",
    "multiply": "mull w, r, r|muluh w, r, r|mulsh w, r, r|mul16s w, r, r|mul16u w, r, r",
    "divide": "quos w, r, r|quou w, r, r|rems w, r, r|remu w, r, r",
    "branch": "beq r, r, there|bne r, r, there|blt r, r, there|bge r, r, there|bltu r, r, there|bgeu r, r, there"
    "|bany r, r, there|bnone r, r, there|ball r, r, there|bnall r, r, there|bbc r, r, there|bbs r, r, there"
    "|bbci r, 5, there|bbsi r, 17, there|beqz r, there|bnez r, there|bltz r, there|bgez r, there"
    "|beqz.n r, there|bnez.n r, there|beqi r, 8, there|bnei r, -1, there|blti r, 8, there|bgei r, 8, there|bltui r, 8, there|bgeui r, 8, there",
    "jump": "j there|jx r",
    "call": "callx0 r|callx4 r|callx8 r|callx12 r",
    "return": "ret|retw|ret.n|retw.n",
    "loop": "loop r, there|loopnez r, there|loopgtz r, there",
    "other": "add w, r, r|add.n w, r, r|addx2 w, r, r|addx4 w, r, r|addx8 w, r, r|sub w, r, r|subx2 w, r, r"
    "|subx4 w, r, r|subx8 w, r, r|and w, r, r|or w, r, r|xor w, r, r|neg w, r|abs w, r|addi w, r, -5|addi.n w, r, 3"
    "|addmi w, r, 256|movi w, -99|movi.n w, 7|movi.n w, 95|mov.n w, r|slli w, r, 4|slli w, r, 30|srai w, r, 4"
    "|srai w, r, 20|srli w, r, 4|srl w, r|sll w, r|sra w, r|src w, r, r|extui w, r, 3, 4|extui w, r, 20, 9|ssr r|ssl r"
    "|ssa8l r|ssai 3|sext w, r, 7|clamps w, r, 8|min w, r, r|max w, r, r|minu w, r, r|maxu w, r, r|nsa w, r|nsau w, r"
    "|moveqz x, r, r|movnez x, r, r|movltz x, r, r|movgez x, r, r|rsr w, sar|wsr r, sar|nop|nop.n|memw|entry x, 32",
    "mac16": "mula.aa.hl r, r|muls.aa.ll r, r|umul.aa.lh r, r|mul.aa.hh r, r|mula.dd.ll m1, m2|mula.da.hh m1, r"
    "|mula.ad.lh r, m3|mula.dd.ll.ldinc m0, r, m1, m2|mula.da.hl.lddec m2, r, m0, r|ldinc m3, r|lddec m1, r",
}


@pytest.mark.parametrize("kind", INSTRUCTIONS)
def test_the_decoder_agrees_with_the_assembler(kind, tmp_path):
    draw, lines, expected = random.Random(kind), [], []
    for pattern in INSTRUCTIONS[kind].split("|") * 8:
        operation, _, operands = pattern.partition(" ")
        written, read, text = [], [], []
        for operand in operands.split(", ") if operands else []:
            register = draw.randrange(4, 16) if operation != "entry" else 1
            if operand in {"w", "x"}:
                written.append(register)
            if operand in {"r", "x"}:
                read.append(register)
            if re.fullmatch(r"m\d", operand):
                is_loaded = "ld" in operation and not text
                (written if is_loaded else read).append(M0 + int(operand[1:]))
            text.append(f"a{register}" if operand in {"w", "r", "x"} else operand)
        if kind == "return":
            read.append(0)
        lines.append(f"{operation} {', '.join(text)}")
        expected.append((set(written), set(read)))
    code = assembled(lines, tmp_path)
    for i, (line, (written, read)) in enumerate(zip(lines, expected, strict=True)):
        at = BLOCK * i + 4
        found = decode(code, at)
        assert (set(found.writes), set(found.reads)) == (written, read), line
        assert code[at + found.size : at + found.size + 3] == NOP, line
        assert found.kind == kind or kind == "mac16", line
        if "there" in line:
            assert found.target == BLOCK * (i + 1), line


@pytest.mark.parametrize(
    ("text", "lx7", "lx6"),
    [
        ("add a4, a5, a6; add a7, a4, a4", 2, 2),
        ("l32i a4, a5, 0; add a7, a4, a4", 3, 4),
        ("l32i a4, a5, 0; add a7, a5, a5; add a8, a4, a4", 3, 4),
        ("l32i a4, a5, 0; add a7, a5, a5; add a7, a5, a5; add a8, a4, a4", 4, 4),
        ("l32i a4, a5, 0; l32i a6, a5, 0; add a7, a4, a6", 4, 5),  # waits for the later one
        ("l32i a4, a5, 0; add a4, a4, a4; add a6, a4, a4", 4, 5),  # the sum is ready at once
        ("l32i a4, a5, 0; s32i a4, a5, 0", 3, 4),
        ("l32i a4, a5, 0; movi a4, 1; add a6, a4, a4", 3, 3),  # another value in the same register
        ("mull a4, a5, a6; add a7, a4, a4", 3, 3),
        ("quos a4, a5, a6; add a7, a4, a4", 11, 11),
        ("ldinc m0, a4; mula.dd.ll m0, m2", 3, 4),
        ("retw", 3, 4),
        ("nop; nop; nop", 3, 3),
    ],
)
def test_neighbours_cost_what_the_model_says(text, lx7, lx6, tmp_path):
    code = straight(text, tmp_path)
    at, pcs = 0, {}
    while at < len(code):
        pcs[at] = 1
        at += decode(code, at).size
    costs(Counts(code, pcs, {}), lx7, lx6)


@pytest.mark.parametrize(
    ("text", "target", "across"),
    [
        ("beqz a4, t; .p2align 2; t: nop", 4, 0),
        ("beqz a4, t; nop; t: nop.n", 6, 0),
        ("beqz a4, t; nop; t: nop", 6, 1),  # three bytes from byte 2 of a fetch on
    ],
)
def test_a_taken_branch_costs_more_if_two_fetches_bring_its_target(text, target, across, tmp_path):
    code = straight(text, tmp_path)
    costs(Counts(code, {0: 10, target: 10}, {}), 20, 20)
    costs(Counts(code, {0: 10, target: 10}, {0: 7}), 20 + 7 * (2 + across), 20 + 7 * (3 + across))


def test_only_who_comes_from_a_load_waits_for_it(tmp_path):
    code = straight("l32i a4, a5, 0; t: add a6, a4, a4", tmp_path)
    costs(Counts(code, {0: 10, 3: 100}, {}), 110 + 10, 110 + 20)


def test_a_jump_a_call_and_its_return_always_cost(tmp_path):
    code = straight("j t; t: nop", tmp_path)  # to byte 3: two fetches
    costs(Counts(code, {0: 1, 3: 1}, {}), 2 + 3, 2 + 4)
    code = straight("callx8 a8; nop", tmp_path)
    costs(Counts(code, {0: 1, 3: 1}, {0: 1}), 2 + 2 + 3, 2 + 3 + 4)


def test_the_last_instruction_of_a_hardware_loop_goes_back_for_nothing(tmp_path):
    costs(Counts(straight("nop", tmp_path), {0: 10}, {0: 9}), 10, 10)


def test_helpers_cost_cycles_too(tmp_path):
    code = straight("nop", tmp_path)
    costs(Counts(code, {0: 1}, {}, {"to_object": (2, 10)}), 21, 21)
    costs(Counts(code, {0: 1}, {}, {"floor_divide": (2, 10)}), 21 + 2 * 9, 21 + 2 * 9)


def test_milliseconds_are_at_240_megahertz():
    assert milliseconds(240_000) == pytest.approx(1)


def costs(counts, lx7, lx6):
    assert (cycles(counts, "lx7"), cycles(counts, "lx6")) == (lx7, lx6)


BLOCK, NOP = 64, b"\xf0\x20\x00"


def straight(text, folder):
    """Instructions and labels, separated by semicolons."""
    return llvm("\n".join(re.sub(r"(\w+):", r"\1:\n", line) for line in text.split(";")), folder)


def assembled(lines, folder):
    """Each line 4 bytes after the beginning of its own block, then a nop; "there" is the next block's beginning."""
    text = ""
    for i, line in enumerate(lines):
        text += (
            f".p2align 6\nb{i}:\n.long 0\n" + line.replace("there", f"b{i + 1}").replace("back", f"b{i}") + "\nnop\n"
        )
    return llvm(f"{text}.p2align 6\nb{len(lines)}:\n", folder)


def llvm(text, folder):
    (folder / "text.s").write_text(text + "\n")
    command = ["llvm-mc-22", "-triple=xtensa", "-mcpu=esp32", "-filetype=obj", "text.s", "-o", "text.o"]
    subprocess.run(command, cwd=folder, check=True)
    subprocess.run(["llvm-objcopy-22", "-O", "binary", "--only-section=.text", "text.o"], cwd=folder, check=True)
    return (folder / "text.o").read_bytes()
