"""catdog's way to train one model, alone and with all cores. Prints one JSON line."""

import argparse
import json
import os
import tempfile
from pathlib import Path

import catdog


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()

    with tempfile.TemporaryDirectory() as home:
        os.environ["CATDOG_HOME"] = home
        photos = catdog.download(str(given.folder))
        arrays = catdog.prefetch(photos, catdog.split(photos))
        model = catdog.train(
            given.model,
            arrays,
            epochs=given.epochs,
            seed=given.seed,
            weights="embedded",
            on_progress=lambda progress: None,
        )
        accuracies = model.history()["val_accuracy"]
    result = {"best": accuracies.max(), "last": accuracies.iloc[-1]}
    print(json.dumps({"model": given.model, "seconds": model.seconds} | result))


if __name__ == "__main__":
    main()
