from catdog.progress import Progress
from tasks.live_table import HEAD, training_table


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
    row = "| baseline | 1 | 2 of 20 | 0.6500 | 60.0 % | 50.0 % | 1 min 15 s |\n"
    assert text == HEAD + row


def test_the_first_epoch_has_no_validation_yet_and_the_last_leaves_nothing() -> None:
    none = dict.fromkeys(("epoch_loss", "epoch_accuracy", "val_accuracy", "seconds_left"))
    early = training_table({("baseline", 1): progress(**none)})
    assert early.endswith("| 0.6123 | 65.4 % |  |  |\n")
    assert training_table({("baseline", 1): progress(finished_epochs=20)}).endswith("| done |\n")
