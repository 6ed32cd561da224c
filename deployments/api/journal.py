"""What was predicted, as lines that are only ever added: from them a drift can be seen."""

import json
import logging
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

from catdog.inference.classifier import Classifier, Prediction
from catdog.store.files import writing

log = logging.getLogger(__name__)

KEPT_FILES = 4
"""Full ones, apart from the one that is being written."""


class Journal:
    """A prediction a line, as JSON; and, where that is wanted, the photos themselves.

    photos: the folder that keeps them, each once, by its digest. None keeps none.
    """

    def __init__(self, file: Path, *, most_bytes: int, photos: Path | None) -> None:
        with writing(file.parent):
            file.parent.mkdir(parents=True, exist_ok=True)
            if photos:
                photos.mkdir(parents=True, exist_ok=True)
            handler = _Lines(file, maxBytes=most_bytes, backupCount=KEPT_FILES, encoding="utf-8")
        self._handler = handler
        self._photos = photos

    def add(
        self, photo: bytes, digest: str, prediction: Prediction, model: Classifier, task: str
    ) -> None:
        """Write one line; safe under several threads. An answer never waits for a full disk."""
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "sha256": digest,
            "class": prediction.label,
            "confidence": prediction.probability,
            "unanswered": prediction.unanswered,
            "error": prediction.error,
            "task": task,
            "model": model.name,
            "version": model.version,
        }
        self._handler.handle(logging.makeLogRecord({"msg": json.dumps(line)}))
        if self._photos:
            self._keep(photo, self._photos / digest)

    def close(self) -> None:
        """Write what is left."""
        self._handler.close()

    def _keep(self, photo: bytes, file: Path) -> None:
        if file.exists():
            return
        making = file.with_suffix(".making")
        try:
            making.write_bytes(photo)
            making.replace(file)
        except OSError as error:
            making.unlink(missing_ok=True)
            log.warning("A photo cannot be kept (%s).", error.strerror)


class _Lines(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        log.warning("A prediction cannot be logged.", exc_info=True)
