import math
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from catdog.training.progress import Progress
from tasks.live_table import EPOCHS_BETWEEN, HEAD, Table, training_table


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


Run = dict[tuple[str, int], Progress]


def run_of(models: int, epochs: int) -> Iterator[Run]:
    """The progress of a whole run, which is looked at twice in each epoch of each model."""
    run: Run = {}
    for finished in range(epochs + 1):
        for seed in range(models):
            for left in (60.0, 30.0):
                state = {"epochs": epochs, "finished_epochs": finished, "seconds_left": left}
                run[("baseline", seed)] = progress(seed=seed, **state)
                yield dict(run)


@given(models=st.integers(1, 6), epochs=st.integers(1, 40))
def test_a_run_has_at_most_one_version_a_model_and_five_epochs_and_one_at_the_end(
    models: int, epochs: int
) -> None:
    table = Table()
    *looks, end = run_of(models, epochs)
    versions = sum(table.has_news(look, last=False) for look in looks)
    assert models <= versions <= models * math.ceil(epochs / EPOCHS_BETWEEN)
    table.has_news(end, last=True)
    assert table.text == training_table(end)


def test_what_the_table_says_already_is_no_news() -> None:
    table = Table()
    assert not table.has_news({}, last=True)
    assert table.has_news({("baseline", 1): progress()}, last=True)
    assert not table.has_news({("baseline", 1): progress()}, last=True)
