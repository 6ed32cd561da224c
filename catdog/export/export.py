"""Hand a model out: a folder that holds all that is needed to use it without catdog.

Nothing is handed out before it has predicted all test photos of its run and gave what the run
recorded of them.
"""

import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from catdog.errors import SettingsError, StoreError
from catdog.export.evidence import evidence_of
from catdog.export.exported import DESCRIPTION, IN_WORDS, Description
from catdog.export.flatbuffer import flatbuffer_of
from catdog.export.load import facts_of
from catdog.history.runs import load_run
from catdog.inference.litert import Floats, Network
from catdog.machine import DISTRIBUTION
from catdog.promotion.candidates import Chosen, choose_model
from catdog.settings import ExportFormat
from catdog.store.artifacts import Arrays, Evidence, TrainedModel
from catdog.store.digest import file_digest
from catdog.store.files import (
    beside,
    clear_dead,
    require_storable,
    tells_of_a_full_disk,
    write_json,
    write_text,
)
from catdog.store.store import Record, Store
from catdog.training.evaluate import load_model
from catdog.wording import p_text, percent, plain, quoted

Predict = Callable[[Floats], Floats]
"""One photo (1, size, size, 3) to its probabilities (1, classes)."""

LIMIT = 1e-3
"""Between the probabilities of the export and those that the run recorded; rounding explains up to
2e-5. A photo whose class changes within it was a toss-up."""


class Kind(NamedTuple):
    """One format: the file, what a user needs, and how the file is written and used."""

    file: str
    packages: str
    library: str
    """As Hugging Face calls it."""
    write: Callable[[TrainedModel, Store, Path], object]
    open: Callable[[Path], Predict]
    imports: str
    example: str
    """Lines that turn `pixels` into `probabilities`."""


class Replay(Record):
    """What an export says of the test photos of its run, next to what the run recorded."""

    photos: int
    largest_difference: float
    """Between two probabilities."""
    flipped: int
    """Photos that get another class."""
    p_value: float
    """Of the exact McNemar test on right and wrong answers."""
    accuracy: float
    milliseconds: float
    """Median of one photo, from an array, on this machine."""

    @property
    def sentence(self) -> str:
        """The same in words."""
        return (
            f"On all {self.photos:,} test photos of its run, the largest difference to recorded "
            f"probabilities is {self.largest_difference:.1e} (limit {LIMIT:g}); {self.flipped} "
            f"predicted classes differ (McNemar {p_text(self.p_value)}); accuracy "
            f"{percent(self.accuracy)}; {self.milliseconds:.1f} ms a photo on the machine that "
            "exported."
        )


def export(
    name: str | None, kind: ExportFormat, folder: Path, home: Path, task: str | None = None
) -> Replay:
    """Write a model into a folder that does not exist yet or is empty; it appears whole.

    name, task: as in `catdog.export.load.load`.
    Raises StoreError when the folder holds something, the model or its run's photos are no longer
    stored, or the export gives other probabilities than the run recorded; SettingsError when a
    package for the format is missing.
    """
    store = Store(home)
    chosen = choose_model(store, name, task)
    with _appearing(folder) as making:
        how = KINDS[kind]
        how.write(chosen.model, store, making / how.file)
        replay = _replay(how.open(making / how.file), chosen, store)
        _describe(making, kind, chosen, replay, store)
    return replay


def _replay(predict: Predict, chosen: Chosen, store: Store) -> Replay:
    from catdog.comparison.metrics import scored
    from catdog.comparison.over_photos import cross, mcnemar

    arrays = load_run(chosen.run, store).stored(Arrays, store)
    if chosen.predictions is None:
        raise StoreError(
            f"The predictions of {chosen.model.name} are no longer stored.", "Run it again."
        )
    table = chosen.predictions.table()
    truth, recorded, _ = scored(table[table["split"] == "test"])
    found, seconds = np.empty_like(recorded), np.empty(len(recorded))
    images = arrays.images("test")
    for i in range(len(recorded)):
        began = time.perf_counter()
        found[i] = predict(images[i][None].astype(np.float32))
        seconds[i] = time.perf_counter() - began
    ours, theirs = found.argmax(axis=1), recorded.argmax(axis=1)
    replay = Replay(
        photos=len(truth),
        largest_difference=float(np.abs(found - recorded).max()),
        flipped=int((ours != theirs).sum()),
        p_value=mcnemar(cross(ours == truth, theirs == truth)),
        accuracy=float((ours == truth).mean()),
        milliseconds=round(1000 * float(np.median(seconds)), 3),
    )
    if not replay.largest_difference <= LIMIT:
        raise StoreError(f"Nothing is exported. {replay.sentence}", "Please report this.")
    return replay


def _describe(
    folder: Path, kind: ExportFormat, chosen: Chosen, replay: Replay, store: Store
) -> None:
    facts, how = facts_of(chosen), KINDS[kind]
    file, evidence = folder / how.file, folder / Evidence.NAME
    known = evidence_of(chosen, store)
    if known:
        shutil.copyfile(known.file(Evidence.NAME), evidence)
    description = Description(
        format=kind,
        model=how.file,
        sha256=file_digest(file) if file.is_file() else None,
        evidence=file_digest(evidence) if known else None,
        choices=known.choices if known else 1,
        **facts.model_dump(),
    )
    write_json(folder / DESCRIPTION, description.model_dump(mode="json"))
    write_text(folder / "labels.txt", "".join(f"{name}\n" for name in facts.classes))
    example = EXAMPLE.format(imports=how.imports, size=facts.image_size, example=how.example)
    write_text(folder / "example.py", example)
    write_text(folder / "README.md", _card(how, chosen, replay))


def _card(how: Kind, chosen: Chosen, replay: Replay) -> str:
    """The model's card as Hugging Face reads it: facts as YAML in front, then the text."""
    import yaml

    try:
        text = chosen.model.file("model-card.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"{chosen.model.name} has no model card that can be read.",
            f"Write it: 'catdog report {chosen.run}'.",
        ) from error
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"name": f"test photos of run {chosen.run}", "type": "imagefolder"},
        "metrics": [{"type": "accuracy", "value": round(replay.accuracy, 4)}],
    }
    front = {
        "library_name": how.library,
        "pipeline_tag": "image-classification",
        "tags": ["catdog", chosen.model.name],
        "metrics": ["accuracy"],
        "model-index": [{"name": chosen.model.name, "results": [result]}],
    }
    task = f"It is the champion of the task {plain(chosen.task)}.\n\n" if chosen.task else ""
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(IN_WORDS, 1))
    return (
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n\n{text}\n"
        f"## Use\n\n{task}`pip install {how.packages}`, then `python example.py PHOTO`.\n\n"
        f"{steps}\n\n"
        f"## Replay\n\n{replay.sentence}\n"
    )


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A folder next to this one, which takes its place in the end, or is removed."""
    require_storable(folder, "Choose another folder for --to.")
    folder = Path(os.path.realpath(folder))  # a link to it stays
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise StoreError(
            f"{folder} is there already and not an empty folder.", "Choose another one for --to."
        )
    making = beside(folder)
    try:
        if folder.parent.is_dir():
            clear_dead(folder)
        making.mkdir(parents=True)
        yield making
        making.replace(folder)
    except Exception as error:
        if not isinstance(error, OSError) and not tells_of_a_full_disk(error):
            raise
        reason = error.strerror if isinstance(error, OSError) else None
        raise StoreError(
            f"{folder} cannot be written ({reason or quoted(error)}).",
            "Choose another folder for --to.",
        ) from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _write_onnx(model: TrainedModel, store: Store, file: Path) -> None:
    from importlib.util import find_spec

    if missing := [name for name in ("tf2onnx", "onnxruntime") if not find_spec(name)]:
        raise SettingsError(
            f"To export as ONNX, {' and '.join(missing)} must be installed.",
            f"pip install '{DISTRIBUTION}[onnx]'",
        )
    bare = _inference_only(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Keras asks NumPy for what it had once
        bare.export(file, format="onnx", verbose=False)


def _inference_only(model: TrainedModel) -> Any:
    """The model as it predicts, whatever its layers do by default: random ones act in training."""
    network = load_model(model.file("model.keras"))
    import keras

    photos = keras.Input(network.input_shape[1:], name="photos")
    bare = keras.Model(photos, network(photos, training=False), name=model.name)
    bare(np.zeros((1, *network.input_shape[1:]), np.float32))  # ONNX wants one that was called
    return bare


def _open_keras(file: Path) -> Predict:
    network = load_model(file)
    return lambda photo: np.asarray(network.predict_on_batch(photo))


def _open_saved_model(file: Path) -> Predict:
    import tensorflow as tf

    network = tf.saved_model.load(str(file))
    return lambda photo: np.asarray(network.serve(photo))


def _open_onnx(file: Path) -> Predict:
    import onnxruntime

    session = onnxruntime.InferenceSession(file)
    name = session.get_inputs()[0].name
    return lambda photo: np.asarray(session.run(None, {name: photo})[0])


KINDS: Mapping[ExportFormat, Kind] = {
    "litert": Kind(
        "model.tflite",
        "ai-edge-litert numpy pillow",
        "litert",
        lambda model, store, file: shutil.copyfile(
            flatbuffer_of(model, store).file("model.tflite"), file
        ),
        lambda file: Network(file.read_bytes()),
        "from ai_edge_litert.interpreter import Interpreter",
        """\
model = Interpreter(str(here / "model.tflite"))
model.allocate_tensors()
model.set_tensor(model.get_input_details()[0]["index"], pixels)
model.invoke()
probabilities = model.get_tensor(model.get_output_details()[0]["index"])[0]""",
    ),
    "saved-model": Kind(
        "model",
        "tensorflow numpy pillow",
        "tensorflow",
        lambda model, _, file: _inference_only(model).export(
            file, format="tf_saved_model", verbose=False
        ),
        _open_saved_model,
        "import tensorflow as tf",
        """\
model = tf.saved_model.load(str(here / "model"))
probabilities = model.serve(pixels).numpy()[0]""",
    ),
    "onnx": Kind(
        "model.onnx",
        "onnxruntime numpy pillow",
        "onnx",
        _write_onnx,
        _open_onnx,
        "import onnxruntime",
        """\
model = onnxruntime.InferenceSession(here / "model.onnx")
probabilities = model.run(None, {model.get_inputs()[0].name: pixels})[0][0]""",
    ),
    "keras": Kind(
        "model.keras",
        "keras tensorflow numpy pillow",
        "keras",
        lambda model, _, file: shutil.copyfile(model.file("model.keras"), file),
        _open_keras,
        "import keras",
        """\
model = keras.models.load_model(here / "model.keras", compile=False)
probabilities = model.predict(pixels, verbose=0)[0]""",
    ),
}
EXAMPLE = """\
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
{imports}

here, size = Path(__file__).parent, {size}
photo = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB")
how = (size, size), Image.Transform.EXTENT, (0, 0, *photo.size), Image.Resampling.BILINEAR
bands = [np.asarray(band.convert("F").transform(*how)) for band in photo.split()]
pixels = np.rint(np.stack(bands, axis=-1))[None]
{example}
labels = (here / "labels.txt").read_text(encoding="utf-8").splitlines()
print(dict(zip(labels, probabilities.tolist())))
"""
