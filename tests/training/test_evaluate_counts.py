"""Intervals against SciPy's, and thresholds that never see what they are scored on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourdine_training.evaluate import counts, text


@pytest.mark.parametrize(("hits", "trials"), [(0, 163), (4, 163), (81, 163), (163, 163), (1, 1), (3, 7)])
def test_the_interval_of_a_share_is_wilsons(hits, trials):
    from scipy.stats import binomtest

    theirs = binomtest(hits, trials).proportion_ci(0.95, "wilson")
    assert counts.wilson(hits, trials) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_no_trials_tell_nothing():
    assert counts.wilson(0, 0) == (0, 1)


@pytest.mark.parametrize("events", [1, 2, 7, 40])
def test_the_interval_of_a_rate_leaves_a_fortieth_on_either_side(events):
    from scipy.stats import poisson

    low, high = counts.poisson(events, 8.0)
    assert poisson.sf(events - 1, 8 * low) == pytest.approx(0.025)
    assert poisson.cdf(events, 8 * high) == pytest.approx(0.025)


def test_none_in_n_hours_bounds_the_rate_at_three_by_n():
    assert counts.poisson(0, 30.0) == pytest.approx((0, 3 / 30), rel=2e-3)


def test_the_most_permissive_rung_that_keeps_to_the_rate_is_chosen():
    false = np.array([9, 5, 2, 1, 0])
    assert counts.choose(false, 4.0, 0.5) == 2
    assert counts.choose(false, 4.0, 100) == 0
    assert counts.choose(false, 0.1, 0.5) == 4
    assert counts.choose(false + 1, 0.1, 0.5) is None


def test_a_rung_is_not_chosen_over_a_stricter_one_that_is_wrong_more_often():
    assert counts.choose(np.array([1, 1, 4, 0]), 2.0, 0.5) == 3


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 7), st.lists(st.integers(0, 30), min_size=6, max_size=6), st.integers(0, 2**32))
def test_no_part_has_a_say_in_the_threshold_that_it_is_scored_at(part, others, seed):
    rng = np.random.default_rng(seed)
    false, hours = rng.integers(0, 5, (8, 6)), rng.uniform(0.5, 2, 8)
    before = counts.crossed(false, hours, 0.5)
    false[part] = others
    hours[part] += 1
    assert (counts.crossed(false, hours, 0.5)[part] == before[part]).all()


def test_each_part_is_scored_in_every_halving_that_leaves_it_out():
    false = np.zeros((8, 3), int)
    false[0] = [35, 0, 0]  # whoever chooses with part 0 goes one rung up
    weights = counts.crossed(false, np.ones(8), 1.0)
    assert weights[0].tolist() == [1, 0, 0, 0]
    assert weights[1] == pytest.approx([15 / 35, 20 / 35, 0, 0])  # of the 35 halves without part 1, 20 hold part 0


def test_where_no_rung_keeps_to_the_rate_it_counts_as_never():
    assert counts.crossed(np.full((8, 2), 9), np.ones(8), 0.5)[:, -1].tolist() == [1] * 8


def test_what_is_reported_again_at_once_is_one_event():
    assert counts.apart(np.array([1.0, 1.5, 2.9, 3.1, 9.0]), 2.0).tolist() == [1.0, 3.1, 9.0]


def test_the_chance_of_a_difference_is_mcnemars_exact_one():
    from scipy.stats import binomtest

    for a, b in ((0, 0), (3, 3), (1, 9), (15, 2)):
        assert text.chance(a, b) == pytest.approx(binomtest(a, a + b).pvalue if a + b else 1)
