"""A capsule: one small file that says how a run was made and what it predicted.

Whoever has it can train the same again elsewhere, and say whether the same came out. It holds
neither photos nor their names, nor what lets somebody in. It may come from anywhere: nothing in it
is trusted.
"""

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from catdog.errors import SettingsError, StoreError
from catdog.history.runs import Run, predictions_of
from catdog.machine import DISTRIBUTION, computer
from catdog.settings import Settings
from catdog.store.artifacts import Trial, read_table
from catdog.store.digest import file_digest
from catdog.store.store import Record

MOST_BYTES = 64 * 2**20
"""Of a file: 250,000 held-out photos of two classes, predicted by 30 models."""

Word = Annotated[str, Field(max_length=1_000)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Probabilities = npt.NDArray[np.float32]


class Predicted(Record, Trial):
    """What one training's model says of all held-out photos, in the order of `predictions.csv`."""

    name: Word
    photos: int = Field(ge=1, le=10_000_000)
    wrong: int = Field(ge=0)
    """Photos that get another class than their own."""
    classes: int = Field(ge=2, le=10_000)
    packed: str
    """photos x classes probabilities: float32, little endian, zlib, base64."""

    @staticmethod
    def pack(probabilities: Probabilities) -> str:
        """Probabilities (n, k) as text."""
        raw = probabilities.astype("<f4").tobytes()
        return base64.b64encode(zlib.compress(raw, 9)).decode()

    def probabilities(self) -> Probabilities:
        """Of each photo (n) for each class (k): n x k. Raises StoreError for a damaged capsule."""
        size = 4 * self.photos * self.classes
        try:
            packed = base64.b64decode(self.packed, validate=True)
            raw = zlib.decompressobj().decompress(packed, size + 1)
        except (binascii.Error, zlib.error, ValueError) as error:
            raise StoreError(f"The capsule is damaged ({error}).", AGAIN) from error
        found = np.frombuffer(raw[: len(raw) // 4 * 4], dtype="<f4")
        if len(raw) != size or not ((found >= 0) & (found <= 1)).all():
            raise StoreError(f"The capsule is damaged: no probabilities of '{self.name}'.", AGAIN)
        return found.reshape(self.photos, self.classes)


AGAIN = "Make it again: 'catdog reproduce RUN --to FILE'."


class Capsule(Record):
    """How a run was made, and what it predicted."""

    format: Literal["catdog capsule 1"] = "catdog capsule 1"
    run: str = Field(pattern=r"^\d{8}-\d{6}-[\w-]{1,64}-\d{1,10}$")
    began: datetime
    settings: dict[Word, Any]
    """What decided the results; the seeds are among them."""
    digests: dict[Word, Word]
    """Of photos, split and arrays."""
    weights: dict[Word, Word] = Field(default_factory=dict)
    """What pretrained models started from: `source` and `sha256`; empty where none did."""
    code: Word = ""
    packages: dict[Word, Word] = Field(default_factory=dict)
    machine: dict[Word, Word] = Field(default_factory=dict)
    predictions: Digest
    """Of the file `predictions.csv`."""
    trainings: tuple[Predicted, ...] = Field(min_length=1, max_length=10_000)

    @property
    def facts(self) -> dict[str, str]:
        """What may explain another result, by name."""
        return {"code": self.code} | self.packages | self.machine

    def asked(self, **given: Any) -> Settings:
        """The settings of the run, but for those given. Raises StoreError for unknown ones."""
        settings = self.settings | {name: each for name, each in given.items() if each is not None}
        try:
            found = Settings.of(settings)
        except SettingsError as error:
            problem = error.problem.rstrip(".")
            raise StoreError(
                f"The capsule of run {self.run} was made by another version of catdog ({problem}).",
                f"Use that version: {self.packages.get(DISTRIBUTION, 'unknown')}.",
            ) from error
        if strange := set(self.settings) - set(found.asked()):
            raise StoreError(f"The capsule sets what is no part of a run: {min(strange)}.", AGAIN)
        return found


def capsule_of(run: Run) -> Capsule:
    """The capsule of a run of this home. Raises StoreError when no model gave predictions."""
    report = run.reported()
    if report is None:
        raise StoreError(f"Run {run.id} has no predictions to compare.", "Choose another run.")
    file, digests = predictions_of(run), report.digests
    facts = [model.facts for model in report.models]
    weights: Mapping[str, str] = next((of["weights"] for of in facts if of["weights"]), {})
    return Capsule(
        run=run.id,
        began=run.began,
        settings=run.settings,
        digests={name: text for name, text in digests.items() if len(name.split()) == 1},
        weights={name: text for name, text in weights.items() if name in ("source", "sha256")},
        code=run.code,
        packages=run.packages,
        machine=_joined(found["machine"] for found in facts),
        predictions=file_digest(file),
        trainings=tuple(_predicted(run, file)),
    )


def _predicted(run: Run, file: Path) -> Iterator[Predicted]:
    table = read_table(file)
    for score in (score for score in run.scores if not score.error):
        rows = table[(table["model"] == score.name) & (table["seed"] == score.seed)]
        found = rows.filter(regex="^p_").to_numpy("float32")
        yield Predicted(
            **score.identity(),
            photos=found.shape[0],
            wrong=int((rows["predicted"] != rows["label"]).sum()),
            classes=found.shape[1],
            packed=Predicted.pack(found),
        )


def _joined(facts: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Facts of several machines as those of one; each value once."""
    several = [
        {name: str(value) for name, value in each.items() if name in (*computer(), "threads")}
        for each in facts
    ]
    names = dict.fromkeys(name for each in several for name in each)
    return {
        name: " and ".join(dict.fromkeys(each[name] for each in several if name in each))
        for name in names
    }


def read_capsule(file: Path) -> Capsule:
    """A capsule from a file. Raises StoreError for anything else."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise StoreError(f"{file} cannot be read ({error.strerror}).", AGAIN) from error
    if len(content) > MOST_BYTES:
        raise StoreError(f"{file} is no capsule: it is larger than {MOST_BYTES:,} bytes.", AGAIN)
    try:
        return Capsule.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "its text"
        reason = f"{place}: {first['msg']}"
        raise StoreError(f"{file} is no capsule of this version ({reason}).", AGAIN) from error
