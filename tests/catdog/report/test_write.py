"""The report as a reader or a screen reader finds it: structure, not pixels."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from catdog.comparison.compare import compare
from catdog.comparison.metrics import measure, scored
from catdog.comparison.pairing import compare_runs
from catdog.photos.changes import Changes, Moved
from catdog.report import write as report
from catdog.report.charts import Chart, Section, charts
from catdog.report.render import BRIEF_COSTS, COSTS, NBSP, render_model_card
from catdog.report.write import load_comparison, recipe, write_report
from catdog.sources import official
from catdog.store.artifacts import Cost, Report
from catdog.wording import p_text, percent

FakeRun = Callable[..., Any]
OFFICIAL = {"train": 1000, "validation": 404, "test": 96}
MANY = tuple(f"class {number}" for number in range(20))
VOID = {"meta", "link", "img", "source", "br"}


class Element(NamedTuple):
    tag: str
    attributes: dict[str, str | None]
    inside: tuple[str, ...]


class Page(HTMLParser):
    """All elements of a page; closing tags must match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, *tags: str) -> list[Element]:
        return [element for element in self.elements if element.tag in tags]


def assert_well_built(page: Page) -> None:
    levels = [int(e.tag[1]) for e in page.all("h1", "h2", "h3", "h4")]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for image in page.all("img"):
        assert image.attributes["alt"]
        assert (image.attributes["src"] or "").startswith("data:image/")
    assert all(header.attributes.get("scope") for header in page.all("th"))
    assert all("thead" in e.inside or "tbody" in e.inside for e in page.all("th", "td"))
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    links = [e.attributes["href"] or "" for e in page.all("a")]
    assert links[0] == "#content"
    assert all(link.startswith("#") and link[1:] in ids for link in links)
    assert [len(page.all(tag)) for tag in ("main", "nav", "header")] == [1, 1, 1]
    assert page.all("html")[0].attributes["lang"] == "en"
    for hidden in ("nan", "None", "inf", "Undefined"):
        assert not re.search(rf"\b{hidden}\b", page.text)


def draw_nothing(*_: Any, **__: Any) -> Figure:
    return Figure(figsize=(0.1, 0.1))


def draw_only(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    real = report.charts

    def chosen(*given: Any) -> list[Chart]:
        return [
            chart if chart.name in names else chart._replace(draw=draw_nothing)
            for chart in real(*given)
        ]

    monkeypatch.setattr(report, "charts", chosen)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports whose charts are empty, so that many can be made."""
    draw_only(monkeypatch)
    monkeypatch.setattr(report, "sheet", draw_nothing)


def written(run: Any, changes: Changes | None = None, **settings: Any) -> Report:
    return write_report(run.study(settings=settings, changes=changes), run.store)


def page_of(made: Report) -> Page:
    return Page(made.file("report.html").read_text(encoding="utf-8"))


def whole_of(run: Any) -> dict[str, Any]:
    settings = {"command": "catdog run --seed 1", "seed": 1, "models": ["baseline"]}
    return {"settings": settings, "evidence": [run.evidence("transfer")]}


@pytest.fixture(scope="module")
def whole(make_fake_run: FakeRun, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Report]:
    run = make_fake_run(tmp_path_factory.mktemp("report"), repeats=2)
    with pytest.MonkeyPatch.context() as patch:
        draw_only(patch, "accuracies", "repeats")
        return run, write_report(run.study(**whole_of(run)), run.store)


def test_all_files_are_there(whole: tuple[Any, Report]) -> None:
    _, made = whole
    names = {path.relative_to(made.path).as_posix() for path in made.path.rglob("*")}
    assert names >= {
        "comparison.json",
        "predictions.csv",
        "history.csv",
        "report.html",
        "report.md",
        "model-card-baseline.md",
        "model-card-transfer.md",
        "figures/highest-loss.jpg",
    }


def test_every_chart_is_on_the_page_with_its_words_and_beside_it_as_files(
    whole: tuple[Any, Report],
) -> None:
    run, made = whole
    page = Page(made.file("report.html").read_text("utf-8").replace("\N{NO-BREAK SPACE}", " "))
    alts = [image.attributes["alt"] for image in page.all("img")]
    found = charts(load_comparison(made), report.training_history(run.results))
    assert {chart.section for chart in found} == set(get_args(Section))
    for chart in found:
        assert alts.count(chart.alt) == 1
        assert chart.caption in page.text
        assert made.file(f"figures/{chart.name}.png").is_file()
        assert made.file(f"figures/{chart.name}.svg").is_file()
    assert len(page.all("source")) == len(found)


def test_every_cost_is_in_the_tables(whole: tuple[Any, Report]) -> None:
    _, made = whole
    page, found = page_of(made), load_comparison(made)
    assert set(Cost.model_fields) <= {cost.field for cost in COSTS}
    for cost in COSTS:
        assert cost.heading in page.text
        for model in found.models:
            assert cost.of(model) in page.text
    rows = made.file("report.md").read_text(encoding="utf-8").splitlines()
    assert f"| {' | '.join(BRIEF_COSTS)} |" in next(row for row in rows if "| model" in row)


@pytest.mark.slow
def test_a_full_report_of_noisy_photos_is_small_enough(fake_run: FakeRun) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    models = {"baseline": 0.6, "augmented": 0.65, "preprocessed": 0.75, "transfer": 0.92}
    made = written(
        fake_run(counts=OFFICIAL, accuracies=models, repeats=2, pictures=lambda *_: noise)
    )
    assert made.file("report.html").stat().st_size < 3_000_000
    assert made.file("report.md").stat().st_size < 2_000_000


@pytest.mark.slow
def test_a_report_of_many_classes_and_photos_is_as_small(fake_run: FakeRun) -> None:
    classes = tuple(f"class {number}" for number in range(120))
    counts = {"train": 2, "validation": 10, "test": 84}
    made = written(fake_run(classes=classes, counts=counts))
    assert made.file("report.html").stat().st_size < 3_000_000
    assert made.file("report.md").stat().st_size < 2_000_000
    table = pd.read_csv(made.file("confusion-transfer.csv"), index_col="true")
    assert table.to_numpy().sum() == 120 * 84


def test_the_page_is_well_built_and_needs_no_network(whole: tuple[Any, Report]) -> None:
    _, made = whole
    text = made.file("report.html").read_text(encoding="utf-8")
    assert_well_built(Page(text))
    assert not re.search(r"""(src|href|srcset)=["']https?:|url\(|@import|<script""", text)


def test_the_first_screen_answers(whole: tuple[Any, Report]) -> None:
    _, made = whole
    text = page_of(made).text.replace("\N{NO-BREAK SPACE}", " ")
    start = text[: text.index("Scores")]
    for answer in (
        "transfer is the best of these trained models: significantly better than baseline",
        "96.9 %",
        "Difference from baseline",
        "Significantly better? Yes Holm-adjusted p < 0.001",
        "42.0 s",
    ):
        assert answer in start


def test_names_and_commands_from_outside_are_text_and_not_markup(
    whole: tuple[Any, Report],
) -> None:
    _, made = whole
    html = made.file("report.html").read_text(encoding="utf-8")
    assert "train/cats/&lt;broken&gt; &amp; odd.jpg" in html
    assert "catdog run --seed 1" in html
    assert "dense (Dense) 2 < 3" in made.file("model-card-baseline.md").read_text("utf-8")
    assert "train/cats/\\<broken> & odd.jpg" in made.file("report.md").read_text("utf-8")


def test_predictions_csv_gives_every_number_again(whole: tuple[Any, Report]) -> None:
    _, made = whole
    table = pd.read_csv(made.file("predictions.csv"))
    assert len(table) == 2 * 2 * (120 + 192)
    for model in load_comparison(made).models:
        for split in ("validation", "test"):
            chosen = (table["model"] == model.name) & (table["seed"] == model.seed)
            rows = table[chosen & (table["split"] == split)]
            assert measure(*scored(rows)) == getattr(model, split)
    history = pd.read_csv(made.file("history.csv"))
    assert list(history.groupby(["model", "seed"]).size()) == [6] * 4


def test_markdown_has_its_pictures_inline_and_whole_tables(whole: tuple[Any, Report]) -> None:
    _, made = whole
    text = made.file("report.md").read_text(encoding="utf-8")
    assert len(re.findall(r"!\[[^\]]+\]\(data:image/(?:png|jpeg);base64,", text)) >= 14
    rows = re.findall(r"(?m)^\|.*\|$", re.sub(r"\(data:[^)]*\)", "", text))
    header = ""
    for row in rows:
        columns = len(re.findall(r"(?<!\\)\|", row))
        if re.fullmatch(r"[|:\- ]+", row):
            assert columns == len(re.findall(r"(?<!\\)\|", header))
        header = row
    assert "## How to reproduce" in text


def test_what_a_temperature_does_to_the_calibration_error_is_said(
    whole: tuple[Any, Report],
) -> None:
    _, written = whole
    page = Page(written.file("report.html").read_text(encoding="utf-8")).text
    for model in load_comparison(written).models:
        assert model.scaled is not None
        was, became = (percent(found.error) for found in (model.test.calibration, model.scaled))
        chance, p = percent(model.scaled.by_chance), p_text(model.scaled.p_value)
        card = written.file(f"model-card-{model.name}.md").read_text(encoding="utf-8")
        said = f"{became} instead of {was} (by chance alone {chance}, {p})"
        assert f"its ECE on the test set is {said}" in card
        row = f"2.00 {became} {chance} {p.removeprefix('p ').removeprefix('= ')}"
        assert row in page.replace(NBSP, " ")


def test_model_card_states_n_interval_and_limits(whole: tuple[Any, Report]) -> None:
    _, made = whole
    card = made.file("model-card-transfer.md").read_text(encoding="utf-8")
    assert "| test | 192 | 96.9 % | 93.4 to 98.6 % |" in card
    assert "ImageNet weights" in card
    assert "## Limits" in card
    assert "transfer is significantly better than baseline" in card


def test_what_is_not_as_in_the_protocol_is_in_each_form_of_the_report(
    fake_run: FakeRun, undrawn: None
) -> None:
    settings = {"command": "", "epochs": 20, "patience": 3, "learning_rate": 0.002, "seed": 7}
    run = fake_run()
    facts = {"precision": "bfloat16", "patience": 3, "notes": ["bfloat16 is slow here"]}
    file = run.results[1].model.file("model.json")
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | facts), encoding="utf-8")
    made = run.store.obtain(recipe(run.study(settings=settings)))
    told = "Changed from the protocol: patience 3 (0), learning rate 0.002 (as declared)."
    note = "transfer: bfloat16 is slow here."
    page = page_of(made)
    assert_well_built(page)
    markdown = made.file("report.md").read_text(encoding="utf-8").replace("\\_", "_")
    for text in (page.text, markdown):
        for said in (told, note, "Trained in bfloat16"):
            assert said in text
    card = made.file("model-card-transfer.md").read_text(encoding="utf-8")
    assert "Changed from the protocol: epochs 6 (20), patience 3 (0), precision bfloat16" in card


def test_a_run_as_in_the_protocol_does_not_speak_of_it(whole: tuple[Any, Report]) -> None:
    _, made = whole
    assert "protocol" not in page_of(made).text
    assert load_comparison(made).changed == ""


def test_what_became_of_the_photos_is_in_each_form_of_the_report(
    fake_run: FakeRun, undrawn: None
) -> None:
    added = tuple(f"train/cats/new {number}.jpg" for number in range(150))
    relabelled = (Moved("train/dogs/7.jpg", "cats", "dogs"),)
    changes = Changes(since="run-1", added=added, removed=("gone.jpg",), relabelled=relabelled)
    made = written(fake_run(), changes)
    page = page_of(made)
    assert_well_built(page)
    markdown = made.file("report.md").read_text(encoding="utf-8")
    for text in (page.text, markdown):
        assert "run-1" in text
        assert "Photos: 150 added, 1 removed and 1 relabelled." in text
        assert "train/cats/new 19.jpg" in text
    assert load_comparison(made).changes == changes
    assert load_comparison(written(fake_run())).changes is None


def test_the_card_lies_beside_the_model_which_stays_whole(whole: tuple[Any, Report]) -> None:
    run, made = whole
    by_seed = {result.seed: result.model for result in run.results if result.name == "transfer"}
    card = made.file("model-card-transfer.md").read_text(encoding="utf-8")
    assert by_seed[1].file("model-card.md").read_text(encoding="utf-8") == card
    assert not by_seed[2].file("model-card.md").exists()
    assert run.store.find(type(by_seed[1]), by_seed[1].key) == by_seed[1]


def test_a_report_is_reused_until_something_in_it_changes(whole: tuple[Any, Report]) -> None:
    run, made = whole
    given = whole_of(run)
    assert recipe(run.study(**given)).key == made.key
    assert recipe(run.study(**given, results=run.results[1:])).key != made.key
    assert recipe(run.study(**given | {"evidence": []})).key != made.key
    assert (
        recipe(run.study(**given | {"settings": given["settings"] | {"seed": 2}})).key != made.key
    )


def test_equal_inputs_give_equal_bytes(fake_run: FakeRun, undrawn: None) -> None:
    assert written(fake_run()).content == written(fake_run()).content


@pytest.mark.parametrize(
    ("options", "wanted", "missing"),
    [
        ({"accuracies": {"solo": 0.9}}, ["solo classifies 90.1 % of the test"], "Difference from"),
        (
            {"accuracies": {"solo": 0.9}, "failed": {"a": "<oom>", "b": "x"}},
            ["failed and are not compared", "a (seed", "<oom>"],
            "Difference from",
        ),
        ({"classes": ("cats", "dogs", "犬 & <b>")}, ["犬 & <b>", "averaged"], "Published"),
        ({"failed": {"augmented": "killed"}}, ["augmented (seed", "killed"], "seeds"),
        ({"repeats": 5}, ["No two models change places", "5 seeds"], "Failed models"),
        ({"accuracies": {"perfect": 1.0, "b": 1.0}}, ["It made none on 192 test photos"], "Yes"),
        ({"accuracies": {"a": 0.5, "b": 0.52}}, ["trained models, but is not shown"], "Yes"),
        ({"accuracies": {"solo": 0.5}}, ["solo is not shown to be better"], "ranks first"),
        ({"accuracies": {"a": 1.0, "b": 1.0}}, ["no significant difference from a"], "Yes"),
        ({"classes": MANY}, ["20 classes", "Most confused classes", "top 5"], "class 17, class 18"),
        ({"counts": OFFICIAL}, ["What others reported on the same photos"], "Failed models"),
        (
            {"counts": {"train": 2, "validation": 2, "test": 2}},
            ["With 4 test photos and 1 pair, ", ", no difference can be significant."],
            "Published",
        ),
    ],
    ids=["single", "all-but-one-failed", "three-classes", "failed", "five-repeats", "perfect",
         "guessing", "alone-and-guessing", "tie", "many-classes", "official", "tiny"],
)  # fmt: skip
def test_every_kind_of_run_reads_well(
    fake_run: FakeRun,
    undrawn: None,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    wanted: list[str],
    missing: str,
) -> None:
    if options.get("counts") == OFFICIAL:
        monkeypatch.setattr(official, "DIGEST", official._digest({"0"}))
    made = written(fake_run(**options), command="catdog run")
    page = page_of(made)
    assert_well_built(page)
    text = page.text.replace("\N{NO-BREAK SPACE}", " ")
    for words in wanted:
        assert words in text
    assert missing not in text
    markdown = made.file("report.md").read_text(encoding="utf-8")
    assert "nan" not in re.sub(r"\(data:[^)]*\)", "", markdown)
    json.loads(made.file("comparison.json").read_text("utf-8"), parse_constant=pytest.fail)


def test_markdown_drops_pictures_rather_than_grow_too_large(
    fake_run: FakeRun, undrawn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MARKDOWN_BYTES", 1_000)
    text = written(fake_run()).file("report.md").read_text(encoding="utf-8")
    assert 1 <= text.count("data:image") < 5


def test_a_card_of_a_model_no_better_than_the_majority_class_says_so(fake_run: FakeRun) -> None:
    run = fake_run(accuracies={"coin": 0.5})
    found = compare(run.study())
    assert "not shown to be better" in render_model_card(found, found.models[0], "")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("accuracy", [0.97, 0.6])
def test_the_report_of_a_cross_validation(fake_run: FakeRun, accuracy: float) -> None:
    run = fake_run(folds=4, accuracies={"baseline": 0.55, "transfer": accuracy})
    made = write_report(run.study(), run.store)
    page = Page(made.file("report.html").read_text(encoding="utf-8"))
    assert_well_built(page)
    markdown = made.file("report.md").read_text(encoding="utf-8")
    for text in ("Cross-validation: all photos were divided into 4 folds", "Fold variability"):
        assert text in page.text
        assert text in markdown
    assert not list(made.path.glob("model-card-*")), "none of its models is to be used"
    assert not [r for r in run.results if r.model.file("model-card.md").exists()]
    listed = made.file("label-errors.csv")
    assert listed.exists() == (accuracy > 0.9)
    if listed.exists():
        issues = load_comparison(made).labels.issues  # type: ignore[union-attr]
        assert pd.read_csv(listed)["path"].tolist() == [issue.path for issue in issues]
        assert issues[0].path in page.text
    else:
        assert "Labels were not checked" in page.text


@pytest.mark.usefixtures("undrawn")
def test_predictions_csv_has_the_photos_of_one_picture_as_a_group(fake_run: FakeRun) -> None:
    plain, grouped = fake_run(), fake_run()
    copies = grouped.manifest.file("duplicates.csv")
    rows = pd.read_csv(copies).loc[[0] * 40]
    rows["path"] = [f"test/cats/cats {n:03d}.jpg" for n in range(1, 41)]
    rows.assign(action="kept").to_csv(copies, index=False)
    files = [written(run).file("predictions.csv") for run in (plain, grouped)]
    assert pd.read_csv(files[1]).drop(columns="group").equals(pd.read_csv(files[0]))
    for pair in (files, files[::-1]):
        found = compare_runs(*pair, names=("a", "b"), margin=0.02)
        assert {each.table.n for each in found.pairs if each.table} == {192 - 40}
