"""How a decision is told in the Prefect UI."""

from datetime import UTC, datetime

from catdog.promotion.explain import explain
from catdog.promotion.rules import Candidate, Decision


def test_a_name_that_looks_like_markup_stays_a_name() -> None:
    champion = Candidate(
        run="1-my_<img src=x>",
        name="baseline",
        seed=1,
        model="m",
        predictions="p",
        manifest="f",
        origin="photos",
        classes=("cats", "dogs"),
        test_set="0123456789abcdef",
        test_photos=40,
        test_accuracy=0.5,
    )
    decision = Decision(
        number=1,
        at=datetime.now(UTC),
        outcome="promoted",
        reason="first",
        champion=champion,
        previous=None,
        challenger=champion,
        evidence=None,
        test_set_uses=1,
        sentence="baseline of run 1-my_<img src=x> is the first champion.",
    )
    text = explain(decision)
    assert text.count(r"1-my\_\<img src=x>") == 2
