import pandas as pd

from catdog.comparison.mistakes import (
    accurate_models,
    confident_errors,
    highest_loss_errors,
    least_confident,
)


def predictions(rows: dict[str, tuple[str, float]]) -> pd.DataFrame:
    """Photos by name: the label, and the probability of dogs."""
    return pd.DataFrame(
        [
            {
                "split": "test",
                "path": path,
                "label": label,
                "predicted": "dogs" if dogs > 0.5 else "cats",
                "p_cats": 1 - dogs,
                "p_dogs": dogs,
            }
            for path, (label, dogs) in rows.items()
        ]
    )


TABLE = predictions(
    {
        "right": ("dogs", 0.99),
        "bad": ("cats", 0.8),
        "worst": ("dogs", 0.03),
        "unsure": ("dogs", 0.52),
    }
)


def test_errors_of_the_highest_loss_come_first_and_correct_photos_never() -> None:
    assert [photo.path for photo in highest_loss_errors(TABLE)] == ["worst", "bad"]
    assert highest_loss_errors(TABLE)[0].probabilities == {"cats": 0.97, "dogs": 0.03}


def test_the_least_confident_come_first() -> None:
    assert [photo.path for photo in least_confident(TABLE)] == ["unsure", "bad", "worst", "right"]


def test_an_error_is_listed_when_all_accurate_models_make_it_with_high_confidence() -> None:
    other = predictions(
        {
            "right": ("dogs", 0.02),
            "bad": ("cats", 0.99),
            "worst": ("dogs", 0.08),
            "unsure": ("dogs", 0.01),
        }
    )
    (found,) = confident_errors([TABLE, other])
    assert (found.path, found.label, found.predicted) == ("worst", "dogs", "cats")
    assert round(found.confidence, 6) == 0.92


def test_models_far_behind_the_best_have_no_say() -> None:
    accuracies = {"baseline": 0.6, "transfer": 0.97, "other": 0.93}
    assert accurate_models(accuracies) == ("transfer", "other")


def test_where_all_models_are_poor_no_error_is_listed() -> None:
    assert accurate_models({"baseline": 0.6, "other": 0.71}) == ()
    assert confident_errors([]) == ()
