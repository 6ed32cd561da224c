import numpy as np
import pytest

from catdog.comparison.design import SeveralSeeds
from catdog.comparison.over_photos import Correct
from catdog.comparison.pairs import PairTest, compare_pairs, sensitivity


def compared(correct: dict[str, Correct]) -> tuple[PairTest, ...]:
    return compare_pairs(correct, SeveralSeeds(), margin=0.02)


def trained(*accuracies: float, n: int = 192, shift: int = 0) -> Correct:
    photos = np.roll(np.arange(n), shift)
    return np.array([photos < round(a * n) for a in accuracies])


def test_with_one_seed_the_claim_is_about_these_trained_models() -> None:
    correct = {"weak": trained(0.6), "strong": trained(0.97), "twin": trained(0.97, shift=6)}
    tests = {(t.first, t.second): t for t in compared(correct)}
    strong = tests["strong", "weak"]
    assert strong.sentence == (
        "Of these trained models, strong is significantly better than weak: +37.0 percentage "
        "points, 95 % CI +29.0 to +44.2 (CI unadjusted; Holm-adjusted p < 0.001)."
    )
    assert (strong.seeds, strong.beats) == (None, None)
    twins = tests["strong", "twin"]
    assert "there is no significant difference between strong and twin" in twins.sentence
    assert twins.p_value == 1
    assert not twins.equivalent


def test_with_three_seeds_it_is_about_the_ways_of_training() -> None:
    correct = {"a": trained(0.9, 0.92, 0.91), "b": trained(0.7, 0.74, 0.71, 0.69)}
    (test,) = compared(correct)
    assert test.seeds == (3, 4)
    assert test.sentence.startswith("Over 3 and 4 seeds, a is significantly better than b: +20.3")
    assert "P(a beats b) on these photos is 100 %" in test.sentence
    assert test.table is None


def test_a_lucky_seed_is_not_a_better_way_of_training() -> None:
    """With one seed each the same accuracies are a significant difference."""
    lucky, equal = trained(0.85, 0.70, 0.74), trained(0.72, 0.77, 0.79)
    (one,) = compared({"a": lucky[:1], "b": equal[:1]})
    (three,) = compared({"a": lucky, "b": equal})
    assert one.significant
    assert not three.significant
    assert 0 < (three.beats or 0) < 1


def test_two_seeds_are_no_sample_of_seeds() -> None:
    (test,) = compared({"a": trained(0.9, 0.9), "b": trained(0.8, 0.7, 0.7)})
    assert test.seeds is None
    assert test.difference == pytest.approx(0.1, abs=0.003)


def test_no_significant_difference_is_not_equivalence_but_many_like_photos_are() -> None:
    few = compared({"a": trained(0.9), "b": trained(0.9, shift=2)})[0]
    many = compared({"a": trained(0.9, n=3000), "b": trained(0.9, n=3000, shift=9)})[0]
    assert not few.significant
    assert not few.equivalent
    assert not many.significant
    assert many.sentence.endswith(
        "equivalent within 2 percentage points (Holm-adjusted p < 0.001)."
    )


def test_a_lead_that_only_many_pairs_put_in_doubt_is_not_called_significant() -> None:
    correct = {"a": trained(0.9, n=100), "b": trained(0.9, n=100, shift=3)}
    correct["c"] = trained(0.83, n=100)
    found = {(t.first, t.second): t for t in compared(correct)}
    doubtful = found["a", "c"]
    assert doubtful.p_value < 0.05 / 2
    assert doubtful.interval.low > 0
    correct |= {name: trained(0.9, n=100, shift=k) for k, name in enumerate("defg")}
    doubtful = next(t for t in compared(correct) if (t.first, t.second) == ("a", "c"))
    assert not doubtful.significant
    assert doubtful.sentence.endswith("unadjusted p = 0.016).")


def test_the_smallest_attainable_and_the_detectable_difference_are_two_numbers() -> None:
    pairs = compared({"a": trained(0.9), "b": trained(0.8)})
    assert sensitivity(pairs, "192 test photos", "seed") == (
        "With 192 test photos and 1 pair, as many photos discordant as here, the smallest "
        "difference that can be significant is 5.7 percentage points. To be found with 80 % "
        "power, the true difference must be 6.5 percentage points."
    )
    few = compared({"a": trained(0.9, n=5), "b": trained(0.8, n=5)})
    told = sensitivity(few, "5 test photos", "seed")
    assert told.startswith("With 5 test photos and 1 pair, ")
    assert told.endswith(", no difference can be significant.")
