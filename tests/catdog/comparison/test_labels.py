import numpy as np
import pandas as pd
import pytest

from catdog.comparison.labels import check_labels


def table(labels: list[str], dogs: list[float]) -> pd.DataFrame:
    """Predictions: the probability that each photo shows a dog."""
    p = np.array(dogs)
    return pd.DataFrame(
        {
            "path": [f"{i}.jpg" for i in range(len(labels))],
            "label": labels,
            "predicted": np.where(p > 0.5, "dogs", "cats"),
            "p_cats": 1 - p,
            "p_dogs": p,
        }
    )


def test_a_label_is_doubted_when_another_class_is_as_likely_as_where_it_is_the_label() -> None:
    # The mean of p_dogs is 0.7 where it is the label, that of p_cats 0.72.
    labels = ["dogs", "dogs", "cats", "cats", "cats", "cats", "cats"]
    found = check_labels("a", table(labels, [0.9, 0.5, 0.8, 0.1, 0.05, 0.05, 0.4]))
    assert (found.model, found.photos) == ("a", 7)
    (issue,) = found.issues  # 0.5 and 0.4 are errors or nearly so, but not with confidence
    assert (issue.path, issue.label, issue.suggested) == ("2.jpg", "cats", "dogs")
    assert (issue.label_probability, issue.suggested_probability) == (1 - 0.8, 0.8)


def test_flipped_labels_are_found_the_clearest_first() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(2_000) < 0.5
    flipped = rng.random(2_000) < 0.03
    dogs = np.where(truth, rng.beta(12, 1, 2_000), rng.beta(1, 12, 2_000))
    labels = ["dogs" if dog else "cats" for dog in truth ^ flipped]
    issues = check_labels("a", table(labels, dogs.tolist())).issues
    found = {int(issue.path.removesuffix(".jpg")) for issue in issues}
    planted = set(np.flatnonzero(flipped).tolist())
    assert len(found & planted) / len(planted) > 0.6
    assert len(found & planted) / len(found) > 0.95
    margins = [issue.label_probability - issue.suggested_probability for issue in issues]
    assert margins == sorted(margins)


def unequal(seed: int, shares: tuple[float, ...], strength: float) -> pd.DataFrame:
    """Out-of-fold predictions of 300 photos of unequal classes, 4 % of the labels drawn again."""
    rng, k = np.random.default_rng(seed), len(shares)
    truth = rng.choice(k, 300, p=shares)
    label = np.where(rng.random(300) < 0.04, rng.integers(0, k, 300), truth)
    logits = rng.normal(0, 1.2, (300, k)) + np.log(shares)
    logits[np.arange(300), truth] += strength
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = np.array(list("abcd")[:k])
    columns = {"path": np.arange(300).astype(str), "label": names[label]}
    columns |= {"predicted": names[p.argmax(axis=1)]}
    return pd.DataFrame(columns | {f"p_{name}": p[:, i] for i, name in enumerate(names)})


@pytest.mark.parametrize(
    ("shares", "seed", "strength", "listed"),
    [
        ((0.1, 0.9), 4, 1.5, "105 35 92 246 80 3 176 90 100 15 128"),
        ((0.1, 0.3, 0.6), 3, 2.0, "172 245 159 80 239 137 65 186 76 291 20 167 64 35"),
        ((0.05, 0.1, 0.2, 0.65), 5, 2.5, "285 250 10 3 107 199 241 16 64 283 198"),
    ],
)
def test_of_unequal_classes_the_list_is_that_of_cleanlab(
    shares: tuple[float, ...], seed: int, strength: float, listed: str
) -> None:
    # find_label_issues(labels, pred_probs, filter_by="confident_learning",
    # return_indices_ranked_by="normalized_margin") of cleanlab 2.9.0
    issues = check_labels("a", unequal(seed, shares, strength)).issues
    assert [issue.path for issue in issues] == listed.split()


def test_a_label_that_is_as_likely_as_any_other_class_is_not_doubted() -> None:
    # The mean of p_cats is 0.5 where it is the label, that of p_dogs 0.8: the last photo belongs to
    # the cats with confidence, but the model predicts its own label as well.
    labels = ["cats", "cats", "dogs", "dogs", "dogs"]
    assert check_labels("a", table(labels, [0.4, 0.6, 0.95, 0.95, 0.5])).issues == ()


def test_right_labels_are_not_doubted() -> None:
    assert check_labels("a", table(["cats", "dogs"] * 5, [0.1, 0.9] * 5)).issues == ()
