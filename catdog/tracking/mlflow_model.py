"""A trained model as MLflow keeps it: a pyfunc with its signature, which needs no catdog."""

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from catdog.export.flatbuffer import FILE, flatbuffer_of
from catdog.export.load import facts_of
from catdog.promotion.candidates import Chosen
from catdog.store.artifacts import Predictions, TrainedModel
from catdog.store.files import write_json
from catdog.store.store import Store

PROGRAM = Path(__file__).with_name("catdog_answers.py")
RUNTIME = ("ai-edge-litert", "numpy", "pandas", "pillow")
"""What that program imports."""


def log_model(model: TrainedModel, predictions: Predictions, run: str, store: Store) -> None:
    """Log a model to the active MLflow run; `runs:/ID/NAME` is its address.

    run: the name of catdog's run. Raises what MLflow raises.
    """
    from mlflow import pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    facts = facts_of(Chosen(model, predictions, run))
    outputs: list[Any] = [ColSpec("string", "label"), ColSpec("double", "probability")]
    outputs += [ColSpec("double", f"p_{name}") for name in facts.classes]
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "data"
        data.mkdir()
        shutil.copyfile(flatbuffer_of(model, store).file(FILE), data / FILE)
        write_json(data / "facts.json", facts.model_dump(mode="json"))
        pyfunc.log_model(
            name=model.name,
            loader_module=PROGRAM.stem,
            data_path=str(data),
            code_paths=[str(PROGRAM)],
            signature=ModelSignature(Schema([ColSpec("binary", "photo")]), Schema(outputs)),
            pip_requirements=[f"{name}=={version(name)}" for name in RUNTIME],
            metadata=_metadata(model),
        )


def _metadata(model: TrainedModel) -> dict[str, Any]:
    """What a model's page shows; `version` is as `catdog.load().version` gives it."""
    return {"catdog_version": model.content, "image_size": model.image_size}
