"""Start the flow from the command line, with a server to report to and a view to watch."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from catdog.addresses import without_secrets
from catdog.configuration import PREFIX
from catdog.errors import CatdogError
from catdog.history.runs import ModelsFailedError, Run
from catdog.models import model_spec
from catdog.promotion.decision import Decision
from catdog.promotion.explain import task_flag
from catdog.promotion.tasks import decisions_of
from catdog.report.write import load_comparison
from catdog.settings import NOT_OF_A_RUN, Settings
from catdog.sources.download import require_source
from catdog.store.files import no_space, writing
from catdog.training.progress import claim_progress, progress_folder, write_stage
from flows.cli.listing import remarks, scores
from flows.cli.live import live_view
from flows.cli.terminal import say
from flows.server.choose import prefect_server
from flows.server.client import set_prefect_up
from flows.server.private import LEAST_FREE

LOOK = ("report --open", "shows the report")
USE = (
    ("predict{task} PHOTO...", "tells the class of new photos"),
    ("api{task}", "answers over HTTP, with a page to drop photos on"),
)


def run_flow(settings: Settings, console: Console) -> None:
    """Run the flow `catdog`, show its progress, and print the comparison and what may come next.

    Raises the flow's own error when it fails; a run in which only some models failed is printed
    first.
    """
    run, decision = run_and_print(settings, console)
    _print_next(run, decision, console)


def run_and_print(settings: Settings, console: Console) -> tuple[Run, Decision | None]:
    """As `run_flow`, without what may come next; and what became of the champion."""
    require_source(settings.source)
    for model in settings.models:
        model_spec(model)  # that there is none is known before anything starts
    set_prefect_up()
    folder = progress_folder(settings.home)
    with writing(settings.home):
        claim_progress(folder)
        write_stage(folder, "Starting the Prefect server")
    try:
        with writing(settings.home), live_view(folder, console), prefect_server(settings.home):
            run = _call(settings)
    except ModelsFailedError as error:
        print_run(error.run, console)
        print_decision(error.run, settings)
        raise
    print_run(run, console)
    return run, print_decision(run, settings)


def _call(settings: Settings) -> Run:
    from flows.catdog import catdog

    told = settings.model_dump(exclude=NOT_OF_A_RUN)
    for name, address in settings.addresses().items():
        told[name] = without_secrets(address)
        if told[name] != address:  # Prefect keeps the parameters; this process completes them
            os.environ[f"{PREFIX}{name.upper()}"] = address
    try:
        run: Run = catdog(**told)
    except Exception as error:
        raise _behind(error, settings.home) from error
    return run


def _behind(error: BaseException, home: Path) -> BaseException:
    """The user's problem behind an error: a private server that shares a full disk hides it."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, CatdogError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return no_space(home) if shutil.disk_usage(home).free < LEAST_FREE else error


def print_decision(run: Run, settings: Settings) -> Decision | None:
    """Print what became of a run's challenger, if it had one, and give the decision."""
    known = decisions_of(settings.home) if settings.promote else {}
    records = [past for task, past in known.items() if settings.task in (None, task)]
    made = [each for past in records for each in past if _came_from(each, run)]
    stand = [each for past in records for each in reversed(past) if _stands(each, past, run)]
    for decision in (*made, *stand):
        before = "" if decision in made else f"decision {decision.number} stands. "
        say(f"Champion: {before}{decision.sentence}")
        return decision
    return None


def _came_from(decision: Decision, run: Run) -> bool:
    return decision.challenger is not None and decision.challenger.run == run.id


def _stands(decision: Decision, past: Sequence[Decision], run: Run) -> bool:
    """Whether it has judged the same model before the same champion."""
    new, same_champion = decision.challenger, decision.champion.model == past[-1].champion.model
    tested = new and decision.evidence and new.predictions in run.artifacts.values()
    return bool(tested and same_champion)


def _print_next(run: Run, decision: Decision | None, console: Console) -> None:
    """Print what one may want to do with the result, as one would type it here."""
    task = task_flag(decision.task) if decision else ""
    typed = Path(sys.argv[0])
    catdog = typed if typed.name == "catdog" and not shutil.which("catdog") else "catdog"
    for words, what in (LOOK, *run.design.to_use(USE)):
        typed_words = words.format(task=task)
        console.print(f"{catdog} {typed_words:<18} {what}", soft_wrap=True)


def print_run(run: Run, console: Console) -> None:
    """Print a run's comparison table, what was reused, and where its report is."""
    console.print(f"Comparison on {run.source}", soft_wrap=True)
    console.print(scores(run))
    if (run.folder / "comparison.json").is_file():  # not when every model failed
        compared = load_comparison(run.folder)
        for line in (f"{compared.verdict.headline}.", *(pair.sentence for pair in compared.pairs)):
            console.print(line, soft_wrap=True)
        console.print(compared.verdict.caveat, soft_wrap=True)
        if compared.changed:
            console.print(f"Changed from the protocol: {compared.changed}.", soft_wrap=True)
        for note in compared.notes:
            console.print(f"Warning: {note}.", soft_wrap=True)
    for line in remarks(run):
        console.print(line, soft_wrap=True)
    if (page := run.folder / "report.html").is_file():
        console.print(f"Report: {page}", soft_wrap=True)
