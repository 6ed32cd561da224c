"""Every recipe of an artifact, each for a process that has imported nothing else.

`python recipes.py RECIPE HOME` makes one artifact in the store of a home and prints what the test
wants to know. Above the functions stands only plumbing, so that they load what they need.
"""

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from catdog.store import digest
from catdog.store.artifacts import Arrays, Manifest, Photos, Predictions, TrainedModel
from catdog.store.store import Artifact, Store

A = TypeVar("A", bound=Artifact)


def sample(store: Store) -> Artifact:
    from catdog.sources import download as sources

    sources.SAMPLE_TRAIN, sources.SAMPLE_VALIDATION = 24, 24
    return sources.download("sample", store=store)


def folder(store: Store) -> Artifact:
    from catdog.sources.download import download

    return download(str(only(store, Photos).folder), store=Store(store.home / "other"))


def archive(store: Store) -> Artifact:
    import shutil

    from catdog.sources.download import download

    file = shutil.make_archive(str(store.home / "photos"), "zip", only(store, Photos).folder)
    return download(file, store=Store(store.home / "other"))


def manifest(store: Store) -> Artifact:
    from catdog.photos.split import split

    shares = {"validation_share": 0.2, "test_share": 0.5}
    return split(only(store, Photos), seed=1, duplicates="drop", store=store, **shares)


def arrays(store: Store) -> Artifact:
    from catdog.photos.prefetch import prefetch

    return prefetch(only(store, Photos), only(store, Manifest), image_size=32, store=store)


def model(store: Store) -> Artifact:
    from catdog.training.train import train

    options = {"epochs": 1, "seed": 1, "batch_size": 16}
    return train("baseline", only(store, Arrays), **options, weights=None, store=store)


def predictions(store: Store) -> Artifact:
    from catdog.training.evaluate import evaluate

    return evaluate(only(store, TrainedModel), only(store, Arrays), store=store)


def report(store: Store) -> Artifact:
    from catdog.comparison.compare import ModelResult
    from catdog.report.write import write_report

    trained, scored = only(store, TrainedModel), only(store, Predictions)
    result = ModelResult(name=trained.name, seed=trained.seed, model=trained, predictions=scored)
    parts = only(store, Photos), only(store, Manifest), only(store, Arrays)
    return write_report(*parts, [result], settings={"command": "catdog run"}, store=store)


RECIPES: tuple[Callable[[Store], Artifact], ...] = (
    sample,
    folder,
    archive,
    manifest,
    arrays,
    model,
    predictions,
    report,
)
"""In an order in which each finds what it is made from."""


def only(store: Store, cls: type[A]) -> A:
    """The one artifact of a kind."""
    (path,) = store.folder(cls.kind, "").iterdir()
    found = store.find(cls, path.name)
    assert found
    return found


def main(name: str, home: str) -> None:
    keys = {}
    make_key = digest.make_key

    def spy(*, code: tuple[str, ...], **inputs: Any) -> str:
        caller = inspect.stack()[1].frame
        if code:
            keys[f"{caller.f_globals['__name__']}.{caller.f_code.co_name}"] = code
        return make_key(code=code, **inputs)

    digest.make_key = spy
    recipe = next(recipe for recipe in RECIPES if recipe.__name__ == name)
    recipe(Store(Path(home)))
    loaded = sorted(module for module in sys.modules if module.split(".")[0] == digest.ROOT)
    print(json.dumps({"keys": keys, "loaded": loaded}))  # noqa: T201  the test reads it


if __name__ == "__main__":
    main(*sys.argv[1:])
