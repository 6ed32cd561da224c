"""Start the flow from the command line, with a server to report to and a view to watch."""

import os
import shutil
import sys
from pathlib import Path

from rich.console import Console

from catdog.addresses import without_secrets
from catdog.errors import CatdogError
from catdog.history.runs import ModelsFailedError, Run
from catdog.models import model_spec
from catdog.promotion.registry import Registry
from catdog.report.write import load_comparison
from catdog.settings import NOT_OF_A_RUN, PREFIX, Settings
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
    ("predict PHOTO...", "tells the class of new photos"),
    ("api", "answers over HTTP, with a page to drop photos on"),
)


def run_flow(settings: Settings, console: Console) -> None:
    """Run the flow `catdog`, show its progress, and print the comparison and what may come next.

    Raises the flow's own error when it fails; a run in which only some models failed is printed
    first.
    """
    _print_next(run_and_print(settings, console), console)


def run_and_print(settings: Settings, console: Console) -> Run:
    """As `run_flow`, without what may come next."""
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
    print_decision(run, settings)
    return run


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


def print_decision(run: Run, settings: Settings) -> None:
    """Print what became of a run's challenger, if it had one.

    An earlier decision stands where the same model was judged before the same champion.
    """
    decisions = Registry(settings.home).decisions() if settings.promote else []
    for decision in reversed(decisions):
        new = decision.challenger
        if new and new.run == run.id:
            say(f"Champion: {decision.sentence}")
            return
        same_champion = decision.champion.model == decisions[-1].champion.model
        if new and same_champion and new.predictions in run.artifacts.values():
            say(f"Champion: decision {decision.number} stands. {decision.sentence}")
            return


def _print_next(run: Run, console: Console) -> None:
    """Print what one may want to do with the result, as one would type it here."""
    typed = Path(sys.argv[0])
    catdog = typed if typed.name == "catdog" and not shutil.which("catdog") else "catdog"
    for words, what in (LOOK, *run.design.to_use(USE)):
        console.print(f"{catdog} {words:<18} {what}", soft_wrap=True)


def print_run(run: Run, console: Console) -> None:
    """Print a run's comparison table, what was reused, and where its report is."""
    console.print(f"Comparison on {run.source}", soft_wrap=True)
    console.print(scores(run))
    if (run.folder / "comparison.json").is_file():  # not when every model failed
        compared = load_comparison(run.folder)
        for line in (f"{compared.verdict.headline}.", *(pair.sentence for pair in compared.pairs)):
            console.print(line, soft_wrap=True)
        console.print(compared.verdict.caveat, soft_wrap=True)
    for line in remarks(run):
        console.print(line, soft_wrap=True)
    if (page := run.folder / "report.html").is_file():
        console.print(f"Report: {page}", soft_wrap=True)
