"""A trained model at work: the class of photos that it has never seen.

Everything that predicts comes here: the command, the Python functions, the server. It runs on
LiteRT and imports neither TensorFlow nor pandas.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict

from catdog.errors import PhotosError
from catdog.inference.caution import Caution, Why
from catdog.inference.features import with_features
from catdog.inference.litert import Floats, Network
from catdog.inference.temperature import soften
from catdog.machine import available_cores
from catdog.photos.reading import (
    MAX_PIXELS,
    UnreadablePhotoError,
    reading_photo,
    resize,
    upright_rgb,
)
from catdog.store.store import Record
from catdog.wording import classes_text

if TYPE_CHECKING:
    import pandas as pd

Pixels = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]
Photo: TypeAlias = Path | str | bytes | Image.Image | Pixels
"""A file's path, a file's bytes, a picture of Pillow, or height x width x 3 of uint8 in RGB."""

AHEAD = 4
"""Photos a thread that are read before the first answer is taken: enough that none ever waits."""


class Prediction(BaseModel):
    """What a model says of one photo; without a class where it cannot be read, or is unanswered."""

    model_config = ConfigDict(frozen=True)

    path: Path | None = None
    """Of the photo; None for one that is no file."""
    label: str | None = None
    probability: float | None = None
    """Of `label`, 0 to 1."""
    probabilities: dict[str, float] = {}
    uncertain: bool = False
    """Whether `probability` is below the threshold that was set, or there is no answer."""
    unanswered: Why | None = None
    """Why there is no class where the risk is limited: the model doubts too much ("unsure"), or
    the photo is unlike all that it was trained on ("unlike"). Its `probabilities` are given."""
    error: str | None = None


class Facts(Record):
    """What is known of a model that can predict."""

    name: str
    version: str
    """Digest of the trained model, the same wherever it is used."""
    classes: tuple[str, ...]
    image_size: int
    temperature: float | None
    """What calibrates its probabilities (see `temperature.py`); None where none was fitted."""


class Classifier:
    """A trained model that predicts; safe under several threads at once.

    Photos are read and predicted in as many threads as there are cores, each with a network of its
    own and photo by photo, so that no answer depends on the others.
    """

    def __init__(
        self,
        facts: Facts,
        flatbuffer: bytes,
        *,
        threshold: float,
        calibrated: bool = False,
        caution: Caution | None = None,
    ) -> None:
        """threshold: a prediction of a lower probability is `uncertain`.

        calibrated: give probabilities at the model's temperature.
        caution: when not to answer at all; the threshold then does not count.
        Raises ValueError when the flatbuffer is damaged, or fits neither photos nor classes.
        """
        self.facts = facts
        self.name = facts.name
        """Of the model, such as "transfer"."""
        self.version = facts.version
        """Digest of the trained model, the same wherever it is used."""
        self.classes = facts.classes
        """What it tells apart, in the order of `classify`."""
        self.image_size = facts.image_size
        """The side of the square in pixels that photos are resized to."""
        self.threshold = threshold
        self.temperature = facts.temperature or 1.0 if calibrated else 1.0
        self.caution = caution
        self._strangers = caution is not None and caution.known is not None
        self._flatbuffer = with_features(flatbuffer) if self._strangers else flatbuffer
        first = Network(self._flatbuffer)
        shapes = (1, facts.image_size, facts.image_size, 3), (1, len(facts.classes))
        if (first.input_shape, first.output_shape) != shapes:
            raise ValueError(f"it turns {first.input_shape} into {first.output_shape}")
        self._idle = deque([first])

    def __repr__(self) -> str:
        return f"<Classifier {self.name} {self.version[:12]}: {classes_text(self.classes)}>"

    def predict(self, photos: Photo | Iterable[Photo]) -> list[Prediction]:
        """The class of each photo, in order; an unreadable one carries its error.

        One photo alone gives a list of one. Raises PhotosError for what can be no photo at all,
        such as an array of floats.
        """
        return list(self.stream(_several(photos)))

    def predict_frame(self, photos: Photo | Iterable[Photo]) -> "pd.DataFrame":
        """As `predict`, as a table: the same fields, and `p_CLASS` for each class."""
        import pandas as pd

        rows = [
            p.model_dump(exclude={"probabilities"})
            | {f"p_{name}": p.probabilities.get(name) for name in self.classes}
            for p in self.predict(photos)
        ]
        shares = (f"p_{name}" for name in self.classes)
        why = ["unanswered"] if self.caution else []
        columns = ["path", "label", "probability", "uncertain", *why, *shares, "error"]
        return pd.DataFrame(rows, columns=columns)

    def stream(self, photos: Iterable[Photo]) -> Iterator[Prediction]:
        """As `predict`, each as soon as it is known; memory does not grow with their number."""
        threads = available_cores()
        waiting: deque[Future[Prediction]] = deque()
        with ThreadPoolExecutor(threads, "predict") as pool:
            try:
                for photo in photos:
                    waiting.append(pool.submit(self.predict_one, photo))
                    if len(waiting) > AHEAD * threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def classify(self, pixels: Pixels) -> Probabilities:
        """The probability of each class, for one photo of image_size x image_size x 3."""
        return self._calibrated(self._look(pixels)[0])

    def _calibrated(self, probabilities: Probabilities) -> Probabilities:
        (each,) = probabilities
        return each if self.temperature == 1 else soften(each, self.temperature)

    def _look(self, pixels: Pixels) -> tuple[Probabilities, Floats | None]:
        """Probabilities (1, classes), and features where strangers are looked for."""
        with self._network() as network:
            probabilities = network(pixels[None].astype(np.float32))
            return probabilities, network.output(1) if self._strangers else None

    def predict_one(self, photo: Photo, *, max_pixels: int = MAX_PIXELS) -> Prediction:
        """As `predict`, for one photo, in the thread that asks.

        max_pixels: of a file; one with more is unreadable.
        """
        path = Path(photo) if isinstance(photo, (str, Path)) else None
        try:
            pixels = _resized(photo, self.image_size, max_pixels)
        except UnreadablePhotoError as error:
            return Prediction(path=path, error=error.reason)
        seen = self._look(pixels)
        shares = self._calibrated(seen[0]).tolist()
        probabilities = dict(zip(self.classes, shares, strict=True))
        if self.caution and (why := self.caution.objection(*seen)):
            return Prediction(
                path=path, probabilities=probabilities, uncertain=True, unanswered=why
            )
        label = max(probabilities, key=probabilities.__getitem__)
        best = probabilities[label]
        return Prediction(
            path=path,
            label=label,
            probability=best,
            probabilities=probabilities,
            uncertain=self.caution is None and best < self.threshold,
        )

    @contextmanager
    def _network(self) -> Iterator[Network]:
        try:
            network = self._idle.pop()
        except IndexError:
            network = Network(self._flatbuffer)
        try:
            yield network
        finally:
            self._idle.append(network)


def _several(photos: Photo | Iterable[Photo]) -> Iterable[Photo]:
    match photos:
        case str() | bytes() | Path() | Image.Image() | np.ndarray(ndim=3):
            return [photos]
    return photos


def _resized(photo: Photo, size: int, max_pixels: int) -> Pixels:
    match photo:
        case Image.Image():
            return resize(upright_rgb(photo.copy()), size)  # it is turned in place
        case np.ndarray(dtype=np.uint8, ndim=3) if photo.shape[2] == 3 and photo.size:
            return resize(photo, size)
        case bytes() | Path() | str():
            source = photo if isinstance(photo, bytes) else Path(photo)
            with reading_photo(source, max_pixels=max_pixels) as (opened, _):
                return resize(opened, size)
    what = (
        f"An array of {photo.dtype} and shape {photo.shape}"
        if isinstance(photo, np.ndarray)
        else f"A {type(photo).__name__}"
    )
    raise PhotosError(
        f"{what} is no photo.",
        "Give a path, a file's bytes, a picture of Pillow, or uint8 of height x width x 3 in RGB.",
    )
