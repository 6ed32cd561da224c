"""The models that answer: the champion of each task at the moment, or one chosen for good."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from catdog.errors import CatdogError, StoreError
from catdog.export.load import load
from catdog.inference.classifier import Classifier
from catdog.promotion.decision import DEFAULT, Candidate
from catdog.promotion.registry import Registry
from catdog.promotion.tasks import NoSuchTaskError, tasks

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Served:
    """A model that answers; `champion` is None where it is not the registry's."""

    classifier: Classifier
    champion: Candidate | None
    task: str


@dataclass
class Models:
    """Holds the models that answer, and changes each whole; who has taken one keeps it."""

    which: str | None
    calibrated: bool
    threshold: float | None
    home: Path
    risk: str | None = None
    false_flags: str | None = None
    task: str | None = None
    """Whose champion answers where a request names no task."""
    served: Mapping[str, Served] = field(default_factory=dict)
    """By task; replaced, never changed."""
    _problems: Mapping[str, Exception] = field(default_factory=dict)
    """Why a task has no model, or not the newest."""
    _told: set[str] = field(default_factory=set)

    def take(self) -> None:
        """Load each champion that is another one than before.

        Raises StoreError when there is none for who names no task, or it cannot be used; the one
        before stays.
        """
        self._update()
        if problem := self._problems.get(self.task or DEFAULT):
            raise problem
        self._log_problems()

    def follow(self) -> bool:
        """As `take`, for one that goes on whatever happens: whether anything changed.

        A problem is logged, once.
        """
        before = self.served
        self._update()
        self._log_problems()
        return self.served != before

    def now(self, task: str | None = None) -> Served:
        """The model that answers for a task.

        Raises NoSuchTaskError for a task that is not there, StoreError when there is no model yet.
        """
        name = task or self.task or DEFAULT
        if found := self.served.get(name):
            return found
        if not self.served:
            raise StoreError("There is no trained model yet.", "Train one: 'catdog run'.")
        if isinstance(self._problems.get(name), NoSuchTaskError | None):
            raise NoSuchTaskError(name, list(self.served))
        raise StoreError(f"The champion of task '{name}' cannot be used.", "See the server's log.")

    def any(self) -> Served:
        """The model for who names no task, else any other. Raises StoreError when there is none."""
        return next(iter(self.served.values()), None) or self.now()

    def _update(self) -> None:
        served: dict[str, Served] = {}
        problems: dict[str, Exception] = {}
        for task in self._tasks():
            try:
                served[task] = self._serve(task)
            except Exception as error:  # noqa: BLE001  whatever it is, the others answer on
                problems[task] = error
                if task in self.served:
                    served[task] = self.served[task]
        self.served, self._problems = served, problems

    def _log_problems(self) -> None:
        problems = {str(each): each for each in self._problems.values()}
        for text in problems.keys() - self._told:
            bug = None if isinstance(problems[text], CatdogError) else problems[text]
            log.warning("%s", text, exc_info=bug)
        self._told = set(problems)

    def _tasks(self) -> list[str]:
        """Those that there are, and that for who names none."""
        others = tasks(self.home) if self.which is None else []
        return list(dict.fromkeys([self.task or DEFAULT, *others]))

    def _serve(self, task: str) -> Served:
        champion = None if self.which is not None else Registry(self.home, task).champion()
        before = self.served.get(task)
        if before and before.champion == champion:
            return before
        named = self.task if task == (self.task or DEFAULT) else task
        classifier = load(
            self.which,
            task=named,
            calibrated=self.calibrated,
            threshold=self.threshold,
            risk=self.risk,
            false_flags=self.false_flags,
            home=self.home,
        )
        return Served(classifier, champion, task)
