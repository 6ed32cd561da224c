"""Every recipe of an artifact, each for a process that has imported nothing else.

`python recipes.py RECIPE HOME` makes one artifact in the store of a home and prints what the test
wants to know. What is imported above the functions, all share; it does not count as loaded.
"""

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from catdog.settings import Cut, Decoding, Training
from catdog.store import digest
from catdog.store.artifacts import (
    Arrays,
    Manifest,
    ModelResult,
    Photos,
    Predictions,
    TrainedModel,
)
from catdog.store.store import Artifact, Store

A = TypeVar("A", bound=Artifact)


def sample(store: Store) -> Artifact:
    from catdog.sources import download

    download.TRAIN, download.VALIDATION = 24, 24
    return store.obtain(download.recipe("sample", store=store))


def folder(store: Store) -> Artifact:
    return downloaded(only(store, Photos).folder, store)


def archive(store: Store) -> Artifact:
    import shutil

    file = shutil.make_archive(str(store.home / "photos"), "zip", only(store, Photos).folder)
    return downloaded(Path(file), store)


def object_store(store: Store) -> Artifact:
    import fsspec

    fsspec.filesystem("memory").put(str(only(store, Photos).folder), "/bucket/", recursive=True)
    return downloaded("memory://bucket", store)


def downloaded(source: Path | str, store: Store) -> Artifact:
    from catdog.sources.download import recipe

    other = Store(store.home / "other")
    return other.obtain(recipe(str(source), store=other))


def manifest(store: Store) -> Artifact:
    from catdog.photos.split import recipe

    return store.obtain(recipe(only(store, Photos), Cut(validation_share=0.2, test_share=0.5)))


def arrays(store: Store) -> Artifact:
    from catdog.photos.prefetch import recipe

    made = only(store, Photos), only(store, Manifest)
    return store.obtain(recipe(*made, Decoding(image_size=32)))


def model(store: Store) -> Artifact:
    from catdog.training.train import recipe

    training = Training(epochs=1, batch_size=16)
    return store.obtain(recipe("baseline", only(store, Arrays), training, None, store=store))


def predictions(store: Store) -> Artifact:
    from catdog.training.evaluate import recipe

    return store.obtain(recipe(only(store, TrainedModel), only(store, Arrays)))


def evidence(store: Store) -> Artifact:
    from catdog.export.evidence import recipe

    made = only(store, TrainedModel), only(store, Predictions), only(store, Arrays)
    return store.obtain(recipe(*made, only(store, Manifest), store))


def report(store: Store) -> Artifact:
    from catdog.comparison.compare import Study
    from catdog.report.write import recipe

    trained, scored = only(store, TrainedModel), only(store, Predictions)
    result = ModelResult(name=trained.name, seed=trained.seed, model=trained, predictions=scored)
    made = only(store, Photos), only(store, Manifest), only(store, Arrays)
    return store.obtain(recipe(Study(*made, [result])))


RECIPES: tuple[Callable[[Store], Artifact], ...] = (
    sample,
    folder,
    archive,
    object_store,
    manifest,
    arrays,
    model,
    predictions,
    evidence,
    report,
)
"""In an order in which each finds what it is made from."""


def only(store: Store, cls: type[A]) -> A:
    """The one artifact of a kind."""
    (path,) = store.folders(cls)
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
    shared = set(sys.modules)
    recipe(Store(Path(home)))
    new = sys.modules.keys() - shared
    loaded = sorted(module for module in new if module.split(".")[0] == digest.ROOT)
    print(json.dumps({"keys": keys, "loaded": loaded}))  # noqa: T201  the test reads it


if __name__ == "__main__":
    main(*sys.argv[1:])
