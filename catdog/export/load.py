"""Find a model that can predict: the champion, one of the newest run, or an exported one."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from catdog.addresses import obstacle
from catdog.errors import SettingsError, StoreError
from catdog.export.evidence import knowledge
from catdog.export.exported import read_evidence, read_export
from catdog.export.flatbuffer import FILE, flatbuffer_of
from catdog.history.runs import load_runs
from catdog.inference.caution import Caution, Knowledge
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
    risk: float | str | None = None,
    false_flags: float | str | None = None,
    home: Path | None = None,
) -> Classifier:
    """A model that predicts; without a name, the champion.

    which: a name, which stands for the newest run that has the model; the folder of an export; or
    a model that was just trained. Where there is no champion yet, the newest run's best model on
    validation is taken.
    task: whose champion, where there are several.
    calibrated: give probabilities at the temperature that was fitted on validation.
    threshold: a prediction of a lower probability is uncertain.
    risk: answer only where at most this share of the answers is wrong, such as 0.01 or "1%", and
    where the photo is not unlike all training photos; of ordinary ones, the share false_flags is
    taken for that. All of these are as set when None.
    Raises StoreError when there is no such model or task, it is damaged, or no such risk can be
    promised; SettingsError where both threshold and risk are given.
    """
    if threshold is not None and risk is not None:
        raise SettingsError(
            "threshold: not together with risk, which finds its own.", "Leave one of them out."
        )
    settings = Settings.load(
        home=home, threshold=threshold, task=task, risk=risk, false_flags=false_flags
    )
    store = Store(settings.home)
    facts, flatbuffer, known = _find(which, settings.task, store)
    if calibrated and facts.temperature is None:
        raise StoreError(
            f"'{facts.name}' has no temperature: this version of catdog has not evaluated it.",
            "Leave out --calibrated, or evaluate it again: 'catdog run'.",
        )
    caution = None
    if settings.risk is not None and threshold is None:
        caution = known().caution(settings.risk, settings.false_flags)
    return open_classifier(
        facts, flatbuffer, settings.threshold, calibrated=calibrated, caution=caution
    )


def _find(
    which: str | Path | TrainedModel | None, task: str | None, store: Store
) -> tuple[Facts, Path, Callable[[], Knowledge]]:
    """What is known of the model, its file, and how to learn how well it knows."""
    if isinstance(which, TrainedModel):
        chosen = Chosen(which, None, "")
    elif which is not None and not _is_trained(str(which), store) and _is_folder(Path(which)):
        folder = Path(which)
        return *read_export(folder), partial(read_evidence, folder)
    else:
        chosen = choose_model(store, None if which is None else str(which), task)
    flatbuffer = flatbuffer_of(chosen.model, store).file(FILE)
    return facts_of(chosen), flatbuffer, partial(knowledge, chosen, store)


def _is_folder(path: Path) -> bool:
    return obstacle(path) is None and path.is_dir()


def _is_trained(name: str, store: Store) -> bool:
    """Whether this is the name of a model, which a folder may have as well."""
    return name in MODELS or any(run.finished(name) for run in load_runs(store))


def open_classifier(
    facts: Facts,
    flatbuffer: Path,
    threshold: float,
    *,
    calibrated: bool = False,
    caution: Caution | None = None,
) -> Classifier:
    """A classifier from its file. Raises StoreError when that cannot be used."""
    try:
        content = flatbuffer.read_bytes()
        return Classifier(
            facts, content, threshold=threshold, calibrated=calibrated, caution=caution
        )
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
