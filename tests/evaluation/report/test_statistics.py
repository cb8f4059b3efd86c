"""Statistics over pairs: means, intervals, paired tests."""

from itertools import permutations, product
from math import inf, isnan, nan, sqrt

import numpy as np
import pytest
from scipy import stats

from voltween.evaluation.report import statistics
from voltween.evaluation.report.statistics import (
    FEWEST_DRAWN,
    RESAMPLINGS,
    estimate,
    holm,
    mean_interval,
    paired_test,
)
from voltween.evaluation.scores import mean_of_measured


def of_patients(values):
    """Pairs of two scans each that are in no other pair."""
    return {(f"{n}, before", f"{n}, after"): value for n, value in enumerate(values)}


def of_scans(effects, noise):
    """All ordered pairs of scans, each the sum of its scans' effects and noise."""
    pairs = permutations(range(len(effects)), 2)
    drawn = iter(noise)
    return {(f"{i}", f"{j}"): effects[i] + effects[j] + next(drawn) for i, j in pairs}


def test_mean_sd_and_median_by_hand():
    found = estimate(of_patients([1.0, 2.0, nan, 6.0]))
    assert (found.pairs, found.mean, found.median) == (3, 3.0, 2.0)
    assert found.sd == pytest.approx(sqrt((4 + 1 + 9) / 2))


def test_what_few_pairs_cannot_tell_is_nan():
    one, none = estimate(of_patients([0.5, nan])), estimate({})
    assert (one.pairs, one.mean, one.median) == (1, 0.5, 0.5)
    assert all(map(isnan, (one.sd, one.ci_low, one.ci_high)))
    assert none.pairs == 0
    assert all(map(isnan, (none.mean, none.sd, none.median, none.ci_low)))
    assert isnan(mean_of_measured([nan]))
    assert mean_of_measured([nan, 1.0, 2.0]) == 1.5


def test_what_is_infinite_stays_visible():
    found = estimate(of_patients([1.0, 2.0, 3.0, 4.0, 5.0, inf]))
    assert (found.pairs, found.mean, found.median) == (6, inf, 3.5)
    assert all(map(isnan, (found.sd, found.ci_low, found.ci_high)))


def test_interval_of_independent_pairs_is_scipys_bootstrap_with_wider_tails():
    """Hesterberg's: percentiles at the tails of Student's quantile, widened by n."""
    values = np.random.default_rng(3).gamma(2.0, size=12)
    tail = stats.norm.cdf(-stats.t.ppf(0.975, 11) * sqrt(12 / 11))
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLINGS,
        confidence_level=1 - 2 * tail,
        method="percentile",
        random_state=0,
    ).confidence_interval
    ours = mean_interval(of_patients(values.tolist()))
    assert ours == pytest.approx(theirs, abs=0.05 * (theirs.high - theirs.low))


def test_an_atlas_in_every_pair_leaves_the_other_scans_to_be_drawn():
    values = np.random.default_rng(4).normal(size=30).tolist()
    of_atlas = {("atlas", str(n)): value for n, value in enumerate(values)}
    low, high = mean_interval(of_patients(values))
    assert mean_interval(of_atlas) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_interval_is_the_same_in_every_run_and_for_every_order():
    values = of_scans([0.0, 1.0, 2.0, 3.0, 4.0], np.zeros(20))
    turned = dict(reversed(values.items()))
    assert mean_interval(values) == pytest.approx(mean_interval(turned), abs=1e-12)


def test_both_directions_of_a_pair_are_drawn_together():
    """Twice the same numbers say no more than once."""
    once = of_patients([0.1, 0.5, 0.2, 0.9, 0.4, 0.3])
    twice = once | {(moving, fixed): value for (fixed, moving), value in once.items()}
    assert mean_interval(twice) == pytest.approx(mean_interval(once))


def test_weight_of_a_pair_is_how_often_its_scans_were_drawn():
    """All draws of three scans counted out: the bootstrap's mean and SD by hand."""
    from voltween.evaluation.report.statistics import _resample_means

    table = np.array([[0.0, 1.0, 5.0], [2.0, 0.0, 7.0], [4.0, 3.0, 0.0]])
    means = []
    for draw in product(range(3), repeat=3):
        pairs = [table[i, j] for i, j in product(draw, draw) if i != j]
        if pairs:
            means.append(np.mean(pairs))
    found = _resample_means(table, 1.0 - np.eye(3))
    assert len(found) == pytest.approx(RESAMPLINGS * len(means) / 27, rel=0.02)
    assert found.mean() == pytest.approx(np.mean(means), rel=0.02)
    assert found.std() == pytest.approx(np.std(means), rel=0.03)


@pytest.mark.parametrize("scans", [FEWEST_DRAWN, 10])
def test_interval_covers_the_true_mean_where_resampled_pairs_do_not(scans, monkeypatch):
    """Scans with effects of their own around 0, in all ordered pairs."""
    monkeypatch.setattr(statistics, "RESAMPLINGS", 1000)  # of 100 cohorts
    random = np.random.default_rng(5)
    covered = covered_by_pairs = 0
    for _ in range(100):
        noise = random.normal(0, 0.5, scans * (scans - 1))
        values = of_scans(random.normal(size=scans), noise)
        low, high = mean_interval(values)
        covered += low <= 0 <= high
        alone = np.array(list(values.values()))
        low, high = stats.t.interval(
            0.95, len(alone) - 1, alone.mean(), stats.sem(alone)
        )
        covered_by_pairs += low <= 0 <= high
    assert covered >= 80  # of 87 to 92 in many more cohorts
    assert covered_by_pairs <= 60


def test_no_interval_below_five_scans_or_patients():
    four = of_scans([0.0, 1.0, 2.0, 3.0], np.zeros(12))
    assert all(map(isnan, mean_interval(four)))
    assert all(map(isnan, mean_interval(of_patients([1.0, 2.0, 3.0, 4.0]))))
    assert not any(map(isnan, mean_interval(of_patients([1.0, 2, 3, 4, 5]))))


def test_paired_test_is_the_signed_rank_test_on_the_pairs_of_both():
    ours = of_patients([0.9, 0.8, 0.7, 0.85, 0.6, 0.75, 0.5, nan, 0.4])
    theirs = of_patients([0.8, 0.6, 0.4, 0.45, 0.1, 0.15, 0.75, 0.3])
    found = paired_test(ours, theirs)
    # Ranks of the differences 0.1 0.2 0.3 0.4 0.5 0.6 -0.25: the negative one has 3.
    # Of the 2^7 signs, 5 sums of ranks are at most 3: {}, 1, 2, 3, 1 + 2.
    assert found.p == pytest.approx(2 * 5 / 2**7)
    assert found.pairs == 7
    assert found.median_difference == pytest.approx(0.3)
    assert found.mean_difference == pytest.approx(1.85 / 7)
    assert found.ci_low < found.mean_difference < found.ci_high
    turned = paired_test(theirs, ours)
    assert turned.p == found.p
    assert turned.median_difference == -found.median_difference


@pytest.mark.parametrize(("pairs", "p"), [(5, 0.0625), (6, 0.03125)])
def test_five_pairs_cannot_be_significant(pairs, p):
    better = of_patients([0.1 * n for n in range(1, pairs + 1)])
    found = paired_test(better, of_patients([0.0] * pairs))
    assert found.p == p
    assert found.has_too_few_pairs == (pairs == 5)


def test_methods_that_are_the_same_and_methods_without_a_pair_in_common():
    same = paired_test(of_patients([0.5] * 8), of_patients([0.5] * 8))
    assert (same.p, same.median_difference, same.pairs) == (1.0, 0.0, 8)
    apart = paired_test({("a", "b"): 1.0}, {("b", "a"): 1.0})
    assert apart.pairs == 0
    assert isnan(apart.p)
    assert isnan(apart.median_difference)


def test_equal_differences_are_left_out_as_wilcoxon_did():
    changed = [0.1, 0.25, 0.3, -0.05, 0.4, 0.6]
    some = paired_test(of_patients([*changed, 0.0, 0.0]), of_patients([0.0] * 8))
    assert some.p == stats.wilcoxon(changed).pvalue
    assert some.pairs == 8


def test_holm_by_hand():
    # 4 * 0.01, 3 * 0.02, 2 * 0.03 = 0.06 and no less than before, 1 * 0.5
    assert holm([0.03, 0.01, nan, 0.5, 0.02])[:2] == pytest.approx([0.06, 0.04])
    assert isnan(holm([0.03, 0.01, nan, 0.5, 0.02])[2])
    assert holm([0.03, 0.01, nan, 0.5, 0.02])[3:] == pytest.approx([0.5, 0.06])
    assert holm([0.04, 0.03]) == pytest.approx([0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
