import io

import pytest

from sourdine_tools.demo.steps import Steps


def test_steps_are_numbered_and_timed():
    out = io.StringIO()
    steps = Steps(out)
    for what in ("boil water", "make tea"):
        with steps(what):
            pass
    first, second = out.getvalue().splitlines()
    assert first.startswith("  1  boil water....")
    assert second.startswith("  2  make tea....")
    assert second.endswith("0.0 s")


def test_a_step_that_fails_says_so_and_lets_the_error_through():
    out = io.StringIO()
    with pytest.raises(KeyError), Steps(out)("find the cup"):
        raise KeyError
    assert out.getvalue().endswith("failed\n")


def test_a_step_that_a_person_ends_did_not_fail():
    out = io.StringIO()
    with pytest.raises(KeyboardInterrupt), Steps(out)("wait for the guests"):
        raise KeyboardInterrupt
    assert out.getvalue().endswith("stopped\n")
