"""The champion registry of a task: every decision, and the models that it needs.

Layout below `CATDOG_HOME/champion`: `decisions/NUMBER.json`, one whole file a decision, never
changed; `tasks/NAME/NUMBER.json`, those of further tasks; `store/`, all champions' own
copies of their artifacts (hard links where the disk has them), which pruning the artifact store
leaves alone. Who is champion is what the newest decision says, so that a reader sees either the old
champion or the new one. Of homes that share a bucket, only one can create `NUMBER.json` there.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from catdog.errors import StoreError
from catdog.promotion.decision import DEFAULT, Candidate, Decision
from catdog.promotion.explain import sentence, task_flag
from catdog.promotion.ledger import levels
from catdog.promotion.looks import count_looks
from catdog.promotion.rules import Entrant, Hurdles, Ruling, incomparable, rule
from catdog.promotion.sharing import OvertakenError, bring_decisions, share_decision
from catdog.settings import Promotion
from catdog.store.artifacts import Evidence, Flatbuffer, Manifest, Predictions, TrainedModel
from catdog.store.files import link_or_copy, read_entry, read_json, write_text, writing
from catdog.store.store import Artifact, Recipe, Store

log = logging.getLogger(__name__)


class Registry:
    """The champions of one task, one after the other; safe under several processes at once."""

    def __init__(self, home: Path, task: str = DEFAULT) -> None:
        self.task = task
        self.origin = Store(home)
        """Where the artifacts of all runs are."""
        self.store = Store(home / "champion", part=True)
        """Of all tasks: equal models are kept once."""
        self.folder = self.store.home / ("decisions" if task == DEFAULT else f"tasks/{task}")

    def decisions(self) -> list[Decision]:
        """All decisions, the newest last. Raises StoreError for a damaged one."""
        self.bring()
        return [_read(path) for path in sorted(self.folder.glob("[!.]*.json"))]

    def champion(self) -> Candidate | None:
        """The model in use, or None before the first run."""
        self.bring()
        newest = max(self.folder.glob("[!.]*.json"), default=None)
        return _read(newest).champion if newest else None

    def bring(self) -> None:
        """Learn of the decisions of other homes.

        Raises StoreError where this home has decided apart from them.
        """
        bring_decisions(self.store, self.folder.relative_to(self.store.home).as_posix())

    def model_of(self, champion: Candidate) -> TrainedModel:
        """A champion's model. Raises StoreError when its files are missing or damaged."""
        model = self.store.find(TrainedModel, champion.model)
        if model is None:
            raise StoreError(
                f"The champion, {champion.title}, is missing or damaged in {self.store.home}.",
                f"Choose another one: 'catdog champion promote RUN{task_flag(self.task)}' or "
                f"'catdog champion rollback{task_flag(self.task)}'.",
            )
        return model

    def challenge(self, challenger: Entrant, promotion: Promotion) -> Decision:
        """Judge a challenger by the rules, and record the decision.

        What was tested before and kept the champion stands when it comes again: nothing is
        recorded then, and nothing spent.
        """
        return self._in_turn(partial(self._judge, challenger, promotion))

    def promote(self, challenger: Entrant) -> Decision:
        """Make a model champion whatever the rules say, and record that."""
        return self._in_turn(partial(self._judge, challenger, None))

    def rollback(self) -> Decision:
        """Go back to the champion before this one. Raises StoreError when there is none."""
        return self._in_turn(self._go_back)

    def _in_turn(self, decide: Callable[[list[Decision]], Decision]) -> Decision:
        """Decide after all that was decided; again where another home was faster."""
        with self.store.lock("decisions"):
            while True:
                try:
                    return decide(self.decisions())
                except OvertakenError:
                    log.info("Another home has decided meanwhile: this is judged again")

    def _go_back(self, past: list[Decision]) -> Decision:
        reign = _reign(past)
        if len(reign) < 2:
            raise StoreError(
                "There is no earlier champion to go back to.",
                f"See 'catdog champion history{task_flag(self.task)}'.",
            )
        *_, earlier, current = reign
        if self._entrant(earlier) is None:
            raise StoreError(
                f"The earlier champion, {earlier.title}, is missing or damaged.",
                f"Choose a run: 'catdog champion promote RUN{task_flag(self.task)}'.",
            )
        return self._append(past, Ruling("rolled-back", "rollback"), earlier, current)

    def _judge(
        self, challenger: Entrant, promotion: Promotion | None, past: list[Decision]
    ) -> Decision:
        before = past[-1].champion if past else None
        ruling = self._ruling(challenger, past, promotion)
        if ruling.trials:
            if stands := _judged_before(ruling, challenger.candidate, past, promotion):
                log.info("Decision %d stands: %s", stands.number, stands.sentence)
                return stands
            ruling = ruling._replace(looks=count_looks(challenger, self.origin))
        if ruling.outcome == "promoted":
            self._keep_all(challenger)
        return self._append(past, ruling, challenger.candidate, before, promotion)

    def _ruling(
        self, challenger: Entrant, past: list[Decision], promotion: Promotion | None
    ) -> Ruling:
        new, before = challenger.candidate, past[-1].champion if past else None
        champion = self._entrant(before) if before else None
        if promotion is None:
            same = champion and champion.candidate.model == new.model
            return Ruling("kept", "same model") if same else Ruling("promoted", "by hand")
        if before is None:
            return Ruling("promoted", "first")
        rolled_back = _rolled_back(past)
        if champion is None:
            found = incomparable(new, before, rolled_back)
            if found and found.reason != "same model":
                return found
            return Ruling("promoted", "champion lost")
        best = self._best(past) or champion
        return rule(challenger, Hurdles(champion, best, rolled_back, level_now(past)), promotion)

    def _best(self, past: list[Decision]) -> Entrant | None:
        """The last champion in force that has not only been found not to be worse."""
        proven = {
            d.champion.model for d in past if d.outcome == "promoted" and d.reason != "not worse"
        }
        found = (self._entrant(c) for c in reversed(_reign(past)) if c.model in proven)
        return next(filter(None, found), None)

    def _append(
        self,
        past: list[Decision],
        ruling: Ruling,
        new: Candidate,
        previous: Candidate | None,
        promotion: Promotion | None = None,
    ) -> Decision:
        """Write a decision: new asked to be champion, or is champion again."""
        evidence, best = ruling.evidence
        decision = Decision(
            number=past[-1].number + 1 if past else 1,
            at=datetime.now(UTC).replace(microsecond=0),
            outcome=ruling.outcome,
            reason=ruling.reason,
            champion=previous if previous and ruling.outcome == "kept" else new,
            previous=previous,
            challenger=None if ruling.outcome == "rolled-back" else new,
            evidence=evidence,
            best=best,
            promotion=promotion,
            level=ruling.trials[0].level if ruling.trials else None,
            looks=ruling.looks,
            task=self.task,
            sentence=sentence(ruling, new, previous, promotion, self.task),
        )
        with writing(self.store.home):
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{decision.number:06d}.json"
            text = decision.model_dump_json(indent=2) + "\n"
            share_decision(self.store, path, text)
            write_text(path, text)
        log.info("%s", decision.sentence)
        return decision

    def _entrant(self, candidate: Candidate) -> Entrant | None:
        model = self.store.find(TrainedModel, candidate.model)
        predictions = self.store.find(Predictions, candidate.predictions)
        manifest = self.store.find(Manifest, candidate.manifest)
        if model and predictions and manifest:
            return Entrant(candidate, model, predictions, manifest)
        return None

    def _keep_all(self, champion: Entrant) -> None:
        named = champion.candidate
        self._keep(champion.model, named.model)
        self._keep(champion.predictions, named.predictions)
        self._keep(champion.manifest, named.manifest)
        # A model of an older version has none yet; who uses it first makes it.
        if flatbuffer := self.origin.find(Flatbuffer, champion.model.flatbuffer_key):
            self._keep(flatbuffer, flatbuffer.key)
        if evidence := Evidence.of(champion.predictions, self.origin):
            self._keep(evidence, evidence.key)

    def _keep(self, artifact: Artifact, key: str) -> None:
        kept = self.store.obtain(
            Recipe(type(artifact), key, lambda folder: _link(artifact, folder))
        )
        self.store.share(kept.kind, kept.key)  # before a decision names it
        # What was written next to the artifact later, such as its card, is no part of its digest.
        for path in artifact.path.iterdir():
            if path.is_file() and not (target := kept.path / path.name).exists():
                link_or_copy(path, target)


def _link(artifact: Artifact, folder: Path) -> Mapping[str, Any]:
    """Fill a folder with the recorded files of an artifact, and give its record."""
    for name in read_entry(artifact.path)["files"]:
        link_or_copy(artifact.path / name, folder / name)
    return artifact.model_dump(exclude={"key", "path", "content"})


def _read(path: Path) -> Decision:
    return read_json(path, Decision, "Restore it from a backup, or move it away.")


def level_now(past: list[Decision]) -> float:
    """The largest one-sided p that a decision accepts now; all that tested something have spent."""
    *_, found = levels([*(d.at for d in past if d.evidence), datetime.now(UTC)])
    return found


def _judged_before(
    ruling: Ruling, new: Candidate, past: list[Decision], promotion: Promotion | None
) -> Decision | None:
    """The decision that kept the champion when the same was asked of the same two models."""
    asked = (past[-1].champion.model, new.model, promotion, *ruling.evidence)
    kept = (d for d in past if d.outcome == "kept" and d.challenger)
    return next((d for d in kept if _asked(d) == asked), None)


def _asked(decision: Decision) -> tuple[object, ...]:
    assert decision.challenger, "nobody asked"  # noqa: S101
    models = (decision.champion.model, decision.challenger.model)
    return (*models, decision.promotion, decision.evidence, decision.best)


def _reign(past: list[Decision]) -> list[Candidate]:
    """The champions in force one after the other, those rolled back taken away."""
    reign: list[Candidate] = []
    for decision in past:
        if decision.outcome == "promoted":
            if not reign or reign[-1].model != decision.champion.model:  # else it was restored
                reign.append(decision.champion)
        elif decision.outcome == "rolled-back":
            reign.pop()
    return reign


def _rolled_back(past: list[Decision]) -> set[str]:
    """Keys of the models that were taken back and not promoted since."""
    gone: set[str] = set()
    for decision in past:
        if decision.outcome == "rolled-back" and decision.previous:
            gone.add(decision.previous.model)
        elif decision.outcome == "promoted":
            gone.discard(decision.champion.model)
    return gone
