"""The model that answers: the champion of the moment, or one that was chosen for good."""

import logging
from dataclasses import dataclass
from pathlib import Path

from catdog.errors import CatdogError, StoreError
from catdog.export.load import load
from catdog.inference.classifier import Classifier
from catdog.promotion.decision import Candidate
from catdog.promotion.registry import Registry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Served:
    """A model that answers; `champion` is None where it is not the registry's."""

    classifier: Classifier
    champion: Candidate | None


@dataclass
class Models:
    """Holds the model that answers, and changes it whole; who has taken one keeps it."""

    which: str | None
    calibrated: bool
    threshold: float | None
    home: Path
    served: Served | None = None
    _complaint: str = ""

    def take(self) -> bool:
        """Load the champion if it is another one than before, and tell whether it is.

        Raises StoreError when there is none, or it cannot be used; the one before stays.
        """
        champion = None if self.which is not None else Registry(self.home).champion()
        if self.served and self.served.champion == champion:
            return False
        classifier = load(
            self.which, calibrated=self.calibrated, threshold=self.threshold, home=self.home
        )
        self.served = Served(classifier, champion)
        return True

    def follow(self) -> bool:
        """As `take`, for one that goes on whatever happens: a problem is logged, once."""
        try:
            changed = self.take()
        except Exception as error:  # whatever it is, the model before answers on
            if str(error) != self._complaint:
                log.warning("%s", error, exc_info=not isinstance(error, CatdogError))
            self._complaint = str(error)
            return False
        self._complaint = ""
        return changed

    def now(self) -> Served:
        """The model that answers. Raises StoreError when there is none yet."""
        if self.served is None:
            raise StoreError("There is no trained model yet.", "Train one: 'catdog run'.")
        return self.served
