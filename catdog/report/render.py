"""Turn a comparison into text: HTML, Markdown, model cards, a table. Pure: data in, text out."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from inspect import isfunction
from typing import TYPE_CHECKING, Any, NamedTuple

from catdog import wording
from catdog.comparison.compare import Comparison, changed_text
from catdog.comparison.metrics import BINS
from catdog.comparison.scores import ScoredModel
from catdog.report.pictures import Embedded, Picture, thumbnail
from catdog.report.style import data_uri
from catdog.sources.official import SOURCES

if TYPE_CHECKING:
    from jinja2 import Template


NBSP = "\N{NO-BREAK SPACE}"
COUNT = "{:,}".format


class CostColumn(NamedTuple):
    """A number of `ScoredModel` that tells what a model costs, and how it is written."""

    field: str
    heading: str
    write: Callable[[Any], str]
    brief: bool = True
    """Whether tables that hold the scores have it too."""

    def of(self, model: ScoredModel) -> str:
        """What it says of one model."""
        return self.write(getattr(model, self.field))


COSTS = (
    CostColumn("seconds", "training time", wording.duration),
    CostColumn("seconds_per_1000", "inference time per 1,000 images", wording.duration),
    CostColumn("parameters", "parameters", COUNT),
    CostColumn("trainable_parameters", "trainable parameters", COUNT, brief=False),
    CostColumn("file_bytes", "file size", wording.size),
    CostColumn("peak_memory_bytes", "peak memory", wording.size, brief=False),
)
"""What each model costs, in the order of the tables."""
BRIEF_COSTS = {cost.heading: cost for cost in COSTS if cost.brief}


def render_html(
    comparison: Comparison,
    *,
    charts: Sequence[Embedded],
    galleries: Mapping[str, Sequence[Picture]],
) -> str:
    """One HTML page that needs nothing else."""
    page = _template("report.html.jinja").render(c=comparison, charts=charts, galleries=galleries)
    return _keep_together(page)


def render_markdown(comparison: Comparison, *, pictures: Sequence[Embedded]) -> str:
    """The same in Markdown."""
    return _template("report.md.jinja").render(c=comparison, pictures=pictures)


def render_model_card(comparison: Comparison, model: ScoredModel, layers: str) -> str:
    """What one model is for, how good it is and where its limits are, in Markdown.

    layers: as Keras lists them.
    """
    return _template("model-card.md.jinja").render(c=comparison, m=model, layers=layers)


def comparison_table(comparison: Comparison) -> list[dict[str, str]]:
    """A row a model, for a terminal or a table artifact; failed models come last."""
    rows = [
        {
            "model": f"{model.name}{' *' if model.name == comparison.verdict.winner else ''}",
            f"validation {comparison.metric.label}": wording.percent(model.validation.score.value),
            f"test {comparison.metric.label}": wording.percent(model.test.score.value),
            "95 % CI": wording.span(model.test.score.interval.low, model.test.score.interval.high),
            "ROC AUC": "" if model.test.auc is None else f"{model.test.auc:.3f}",
            "selected epoch": f"{model.selected.epoch} of {model.epochs}",
        }
        | _over_seeds(comparison, model)
        | {heading: cost.of(model) for heading, cost in BRIEF_COSTS.items()}
        for model in comparison.models
    ]
    columns = list(rows[0])[1:]
    rows += [
        {"model": failed.name} | dict.fromkeys(columns, "") | {columns[0]: "failed"}
        for failed in comparison.failed
    ]
    return rows


def _over_seeds(comparison: Comparison, model: ScoredModel) -> dict[str, str]:
    """The mean test accuracy of all seeds, where there are several."""
    if not (comparison.repeats and comparison.design.shown):
        return {}
    found = next(each for each in comparison.repeats.models if each.name == model.name)
    reach = f" ({wording.ci(found.interval.low, found.interval.high)})" if found.interval else ""
    return {"mean over seeds": f"{wording.percent(found.mean)}{reach}, n = {len(found.seeds)}"}


def templates() -> dict[str, str]:
    """The text of each template: what a report's key must also depend on."""
    from importlib.resources import files

    folder = files("catdog.report") / "templates"
    return {f.name: f.read_text(encoding="utf-8") for f in folder.iterdir() if f.is_file()}


@cache
def _template(name: str) -> "Template":
    from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape

    environment = Environment(
        loader=DictLoader(templates()),
        autoescape=select_autoescape(("html.jinja",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(
        costs=COSTS,
        brief_costs=BRIEF_COSTS,
        bins=BINS,
        sources=SOURCES,
        few=wording.FEW,
        changed_text=changed_text,
    )
    words = {name: value for name, value in vars(wording).items() if isfunction(value)}
    environment.filters.update(
        words,
        count=COUNT,
        size_of=lambda share: "none" if share is None else f"{100 * share:.1f}",
        p_number=lambda p: (
            "no claim" if p is None else wording.p_text(p).removeprefix("p ").removeprefix("= ")
        ),
        ci=lambda limits: wording.ci(limits.low, limits.high),
        span=lambda limits: wording.span(limits.low, limits.high),
        decimals=lambda limits: f"{limits.low:.3f} to {limits.high:.3f}" if limits else "",
        cell=wording.plain,
        flat=flatten,
        thumbnail=lambda image: data_uri(thumbnail(image), "image/jpeg"),
    )
    return environment.get_template(name)


def _keep_together(page: str) -> str:
    """Let no line end between a number and its sign or unit."""
    page = re.sub(r"(\d) %", rf"\1{NBSP}%", page)
    page = re.sub(r"\bn = (\d)", rf"n{NBSP}={NBSP}\1", page)
    return re.sub(r"\bp (=|&lt;) (\d)", rf"p{NBSP}\1{NBSP}\2", page)


def flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as lines of name and text; lists become "a, b"; empty ones are left out."""
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from flatten(item, f"{prefix}{name} ")
        elif isinstance(item, Sequence) and not isinstance(item, str):
            yield f"{prefix}{name}", ", ".join(map(str, item))
        elif item is not None:
            yield f"{prefix}{name}", f"{item:.4g}" if isinstance(item, float) else str(item)
