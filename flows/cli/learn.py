"""The command `catdog learn`: what more photos would bring."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from catdog.export.learning import learn as find_out
from catdog.promotion.candidates import choose_model
from catdog.store.store import Store
from catdog.wording import percent, span
from flows.cli.terminal import (
    Home,
    Task,
    out,
    require_file,
    say,
    table,
    task_of,
    use,
    write_file,
)


def learn(
    model: str | None = None,
    /,
    *,
    task: Task = None,
    figure: Annotated[Path | None, Parameter(help="Write the curve to this file, as SVG.")] = None,
    home: Home = None,
) -> None:
    """Tell what more photos would bring, from parts of those that there are.

    For models on a frozen base, of which each part trains a last layer alone.

    Parameters
    ----------
    model
        A model of the newest run that has it. [default: the champion]
    """
    if figure:
        require_file(figure, "--figure")
    store = Store(use(home))
    found = find_out(choose_model(store, model, task_of(task)), store)
    shown = table(numbers=("training photos", "draws", "accuracy", "range"))
    for photos, accuracies in zip(found.photos, found.accuracies, strict=True):
        mean = sum(accuracies) / len(accuracies)
        reach = span(min(accuracies), max(accuracies)) if len(accuracies) > 1 else ""
        shown.add_row(f"{photos:,}", str(len(accuracies)), percent(mean), reach)
    out.print(shown)
    say(found.sentence)
    if figure:
        from catdog.report.figures import more_photos
        from catdog.report.style import svg

        write_file(figure, svg(more_photos(found), "more-photos"), "--figure")
        say(f"The curve is in {figure}.")
