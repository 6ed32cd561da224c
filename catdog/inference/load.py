"""Find a model that can predict: the champion, one of the newest run, or an exported one."""

from pathlib import Path

from catdog.champion.candidates import choose_model
from catdog.errors import StoreError
from catdog.inference.classifier import Classifier, Facts
from catdog.inference.flatbuffer import FILE, flatbuffer_of
from catdog.settings import Settings
from catdog.store.artifacts import TrainedModel
from catdog.store.store import Store


def load(name: str | Path | None = None, *, home: Path | None = None) -> Classifier:
    """A model that predicts, by its name or by the folder of an export; without, the champion.

    A name stands for the newest run that has the model. Where there is no champion yet, the newest
    run's best model on validation is taken. home: CATDOG_HOME when None.
    Raises StoreError when there is no such model, or it is damaged.
    """
    store = Store(home or Settings.load().home)
    return classifier_of(choose_model(store, None if name is None else str(name)), store)


def classifier_of(model: TrainedModel, store: Store) -> Classifier:
    """A trained model of this store, or a champion, ready to predict. Raises as `load`."""
    file = flatbuffer_of(model, store).file(FILE)
    facts = Facts(model.name, model.content, model.classes, model.image_size)
    try:
        return Classifier(facts, file.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{file} cannot be used ({error}).", "Remove its folder: it is made again."
        ) from error
