"""Find a model that can predict: the champion, one of the newest run, or an exported one."""

from pathlib import Path

from catdog.addresses import obstacle
from catdog.errors import StoreError
from catdog.export.exported import read_export
from catdog.export.flatbuffer import FILE, flatbuffer_of
from catdog.history.runs import load_runs
from catdog.inference.classifier import Classifier, Facts
from catdog.models import MODELS
from catdog.promotion.candidates import Chosen, choose_model
from catdog.settings import Settings
from catdog.store.artifacts import TrainedModel
from catdog.store.store import Store
from catdog.wording import quoted


def load(
    which: str | Path | TrainedModel | None = None,
    *,
    task: str | None = None,
    calibrated: bool = False,
    threshold: float | None = None,
    home: Path | None = None,
) -> Classifier:
    """A model that predicts; without a name, the champion.

    which: a name, which stands for the newest run that has the model; the folder of an export; or
    a model that was just trained. Where there is no champion yet, the newest run's best model on
    validation is taken.
    task: whose champion, where there are several.
    calibrated: give probabilities at the temperature that was fitted on validation.
    threshold: a prediction of a lower probability is uncertain. It, task and home are as set when
    None.
    Raises StoreError when there is no such model or task, or it is damaged.
    """
    settings = Settings.load(home=home, threshold=threshold, task=task)
    facts, flatbuffer = _find(which, settings.task, Store(settings.home))
    if calibrated and facts.temperature is None:
        raise StoreError(
            f"'{facts.name}' has no temperature: this version of catdog has not evaluated it.",
            "Leave out --calibrated, or evaluate it again: 'catdog run'.",
        )
    return open_classifier(facts, flatbuffer, settings.threshold, calibrated=calibrated)


def _find(
    which: str | Path | TrainedModel | None, task: str | None, store: Store
) -> tuple[Facts, Path]:
    if isinstance(which, TrainedModel):
        chosen = Chosen(which, None, "")
    elif which is not None and not _is_trained(str(which), store) and _is_folder(Path(which)):
        return read_export(Path(which))
    else:
        chosen = choose_model(store, None if which is None else str(which), task)
    return facts_of(chosen), flatbuffer_of(chosen.model, store).file(FILE)


def _is_folder(path: Path) -> bool:
    return obstacle(path) is None and path.is_dir()


def _is_trained(name: str, store: Store) -> bool:
    """Whether this is the name of a model, which a folder may have as well."""
    return name in MODELS or any(run.finished(name) for run in load_runs(store))


def open_classifier(
    facts: Facts, flatbuffer: Path, threshold: float, *, calibrated: bool = False
) -> Classifier:
    """A classifier from its file. Raises StoreError when that cannot be used."""
    try:
        content = flatbuffer.read_bytes()
        return Classifier(facts, content, threshold=threshold, calibrated=calibrated)
    except (OSError, ValueError, RuntimeError) as error:  # as LiteRT has them
        raise StoreError(
            f"{flatbuffer} cannot be used ({quoted(str(error).strip())}).",
            "Restore it, or make it again.",
        ) from error


def facts_of(chosen: Chosen) -> Facts:
    """What a classifier must know of a trained model."""
    model, predictions = chosen.model, chosen.predictions
    return Facts(
        name=model.name,
        version=model.content,
        classes=model.classes,
        image_size=model.image_size,
        temperature=predictions.temperature if predictions else None,
    )
