"""How a ruling and a decision are told."""

from datetime import UTC, datetime

import pytest
from entrants import FRESH, PROMOTION, make

from catdog.promotion.decision import Candidate, Decision, Reason
from catdog.promotion.explain import explain, sentence
from catdog.promotion.registry import Registry
from catdog.promotion.rules import Ruling
from catdog.settings import Promotion
from catdog.store.store import Store


def candidate(name: str, *, classes: tuple[str, ...] = ("cats", "dogs")) -> Candidate:
    return Candidate(
        run=f"1-my_<{name}>",
        name=name,
        seed=1,
        model="m",
        predictions="p",
        manifest="f",
        origin="photos",
        classes=classes,
        test_set="0123456789abcdef",
        test_photos=40,
        test_accuracy=0.5,
    )


NEW, OLD, BEST = candidate("new", classes=("owls", "hens")), candidate("old"), candidate("best")
SCORE = "accuracy 50.0 % on 40 test photos (95 % CI 35.2 to 64.8 %)"
INSTEAD = "To use new all the same: 'catdog champion promote 1-my_<new>'."


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (
            "real photos",
            (
                "new of run 1-my_<new> is the first champion that was trained on real photos: "
                f"{SCORE}. It replaces old of run 1-my_<old>, which knew the drawn sample only."
            ),
        ),
        (
            "champion lost",
            (
                "new of run 1-my_<new> is champion, since the files of old of run 1-my_<old> "
                f"are missing or damaged: {SCORE}."
            ),
        ),
        (
            "same model",
            ("old of run 1-my_<old> stays champion: new of run 1-my_<new> is the same model."),
        ),
        (
            "rolled back before",
            (
                "old of run 1-my_<old> stays champion: new is a model that was rolled back. "
                f"{INSTEAD}"
            ),
        ),
        (
            "other classes",
            (
                "old of run 1-my_<old> stays champion: it knows cats and dogs, but new of run "
                "1-my_<new> knows hens and owls. To use new all the same: 'catdog champion promote "
                "1-my_<new> --task default'; another task gives it a place of its own."
            ),
        ),
        (
            "sample",
            (
                "old of run 1-my_<old> stays champion: new of run 1-my_<new> was trained on "
                "the drawn sample, which says nothing about real photos."
            ),
        ),
        (
            "too few photos",
            (
                "old of run 1-my_<old> stays champion: the test set has changed, and 0 photos "
                f"that both were tested on are too few to compare (30 are needed). {INSTEAD}"
            ),
        ),
    ],
)
def test_a_ruling_without_a_test_says_why(reason: Reason, words: str) -> None:
    promoted = reason in ("real photos", "champion lost")
    ruling = Ruling("promoted" if promoted else "kept", reason)
    assert sentence(ruling, NEW, OLD, PROMOTION) == words


def test_the_first_champion_has_no_one_before_it() -> None:
    words = f"new of run 1-my_<new> is the first champion: {SCORE}."
    assert sentence(Ruling("promoted", "first"), NEW, None, PROMOTION) == words


def test_what_a_person_decides_is_told_as_such() -> None:
    by_hand = sentence(Ruling("promoted", "by hand"), NEW, OLD, None)
    assert by_hand == f"new of run 1-my_<new> was made champion by hand: {SCORE}."
    already = sentence(Ruling("kept", "same model"), NEW, OLD, None)
    assert already == "new of run 1-my_<new> is champion already."
    assert sentence(Ruling("rolled-back", "rollback"), NEW, OLD, None) == (
        "new of run 1-my_<new> is champion again; old of run 1-my_<old> was taken back and will "
        "not be promoted again but by hand."
    )


def test_too_few_photos_to_compare_with_the_best_name_it() -> None:
    ruling = Ruling("kept", "too few photos", best=BEST)
    words = (
        "0 photos that new and best of run 1-my_<best>, the best champion so far, were tested on"
    )
    assert words in sentence(ruling, NEW, OLD, FRESH)


@pytest.mark.parametrize(
    ("right", "promotion", "words"),
    [
        (
            (50, 50),
            PROMOTION,
            (
                "new of run run-new replaces old of run run-old as champion: it is significantly "
                "better, and no recall is lower by more than 5.0 percentage points. On 100 test "
                "photos: +12.0 percentage points, 95 % CI +4.4 to +20.0; one-sided p < 0.001 "
                "(asked for: at most 0.005)."
            ),
        ),
        (
            (50, 44),
            PROMOTION,
            (
                "old of run run-old stays champion: new of run run-new is not significantly "
                "better. On 100 test photos: +6.0 percentage points, 95 % CI +0.4 to +12.6; "
                "one-sided p = 0.016 (asked for: at most 0.005). To be found with 80 % power, a "
                "true difference must be 10.1 percentage points."
            ),
        ),
        (
            (34, 44),
            PROMOTION,
            (
                "old of run run-old stays champion: new of run run-new is significantly worse. On "
                "100 test photos: -10.0 percentage points, 95 % CI -17.6 to -2.9; p = 0.0020."
            ),
        ),
        (
            (45, 44),
            FRESH,
            (
                "new of run run-new replaces old of run run-old as champion: it was trained on 2 "
                "new photos and is not worse by 5.0 percentage points or more, and no recall is "
                "lower by more than 10.0 percentage points. On 100 test photos: +1.0 percentage "
                "points, 95 % CI -3.0 to +5.4; one-sided p = 0.0030 (asked for: at most 0.05). "
                "With fewer than 400 test photos, one that is 5.0 points worse passes 5 % of the "
                "time."
            ),
        ),
        (
            (44, 42),
            FRESH,
            (
                "old of run run-old stays champion: new of run run-new may be worse by 5.0 "
                "percentage points or more. On 100 test photos: -2.0 percentage points, 95 % CI "
                "-7.0 to +2.3; one-sided p = 0.12 (asked for: at most 0.05). A model that is as "
                "good passes 67.9 % of the time."
            ),
        ),
    ],
)
def test_a_test_is_told_with_its_numbers(
    store: Store, registry: Registry, right: tuple[int, int], promotion: Promotion, words: str
) -> None:
    registry.challenge(make(store, "old", right=(44, 44), trained_on=10), promotion)
    new = make(store, "new", right=right, trained_on=12)
    assert registry.challenge(new, promotion).sentence == words


def test_too_few_new_photos_are_counted(store: Store, registry: Registry) -> None:
    registry.challenge(make(store, "old", trained_on=100), FRESH)
    decision = registry.challenge(make(store, "new", trained_on=102), FRESH)
    words = "2 of its training photos are new; from 6 on, it need only not be worse."
    assert decision.sentence.endswith(words)


def test_near_duplicates_are_said_to_be_left_out(store: Store, registry: Registry) -> None:
    registry.challenge(make(store, "old", burst=2), PROMOTION)
    decision = registry.challenge(make(store, "new", right=(40, 40), burst=2), PROMOTION)
    assert "On 50 test photos, without 50 near duplicates: " in decision.sentence


def test_a_name_that_looks_like_markup_stays_a_name() -> None:
    champion = candidate("img src=x")
    decision = Decision(
        number=1,
        at=datetime.now(UTC),
        outcome="promoted",
        reason="first",
        champion=champion,
        previous=None,
        challenger=champion,
        evidence=None,
        sentence="baseline of run 1-my_<img src=x> is the first champion.",
    )
    text = explain(decision)
    assert text.count(r"1-my\_\<img src=x>") == 2
