import math

from catdog.training.progress import Progress
from tasks.live_table import HEAD, QUIET_SECONDS, Table, training_table


def progress(**changes: object) -> Progress:
    values = {
        "name": "baseline",
        "seed": 1,
        "epoch": 3,
        "epochs": 20,
        "step": 10,
        "steps": 63,
        "loss": 0.61234,
        "accuracy": 0.6543,
        "epoch_loss": 0.65,
        "epoch_accuracy": 0.6,
        "val_accuracy": 0.5,
        "seconds_left": 75.0,
        "finished_epochs": 2,
    }
    return Progress(**values | changes)  # type: ignore[arg-type]


def test_a_row_tells_how_far_a_model_is_and_what_its_last_finished_epoch_gave() -> None:
    text = training_table({("baseline", 1): progress()})
    row = "| baseline | seed 1 | 2 of 20 | 0.6500 | 60.0 % | 50.0 % | 1 min 15 s |\n"
    assert text == HEAD + row
    assert "| baseline | fold 3 | 2 of 20 |" in training_table({("baseline", 1): progress(fold=3)})


def test_the_first_epoch_has_no_validation_yet_and_the_last_leaves_nothing() -> None:
    none = dict.fromkeys(("epoch_loss", "epoch_accuracy", "val_accuracy", "seconds_left"))
    early = training_table({("baseline", 1): progress(**none)})
    assert early.endswith("| 0.6123 | 65.4 % |  |  |\n")
    assert training_table({("baseline", 1): progress(finished_epochs=20)}).endswith("| done |\n")


MODEL = ("baseline", 1)


def test_a_model_that_begins_or_ends_an_epoch_is_news_at_once() -> None:
    table = Table(now=0)
    assert not table.has_news({}, 0)
    for finished in range(3):
        begun = {MODEL: progress(finished_epochs=finished)}
        assert table.has_news(begun, 0)
        assert table.text == training_table(begun)
    assert table.has_news(begun | {("transfer", 1): progress(name="transfer")}, 0)


def test_within_an_epoch_the_table_changes_only_now_and_then_and_at_the_end() -> None:
    table = Table(now=0)
    assert table.has_news({MODEL: progress()}, 0)
    later = {MODEL: progress(seconds_left=60.0)}
    assert not table.has_news(later, QUIET_SECONDS - 1)
    assert table.has_news(later, QUIET_SECONDS)
    assert not table.has_news({MODEL: progress(seconds_left=30.0)}, QUIET_SECONDS + 1)
    assert table.has_news({MODEL: progress(seconds_left=30.0)}, math.inf)


def test_what_the_table_says_already_is_no_news() -> None:
    table = Table(now=0)
    assert not table.has_news({}, math.inf)
    assert table.has_news({MODEL: progress()}, 0)
    assert not table.has_news({MODEL: progress()}, math.inf)
