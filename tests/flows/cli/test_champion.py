"""`catdog champion` and `catdog predict` on runs whose artifacts are made up."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
from made_up import add_run

from catdog.errors import StoreError
from catdog.export.flatbuffer import FILE, flatbuffer_of
from catdog.history.runs import load_run, runs_folder
from catdog.promotion.candidates import choose_entrant, choose_model
from catdog.promotion.registry import Registry
from catdog.settings import Promotion, Settings
from catdog.store.artifacts import Flatbuffer
from catdog.store.store import Recipe, Store
from flows.cli.app import main
from flows.cli.run import print_decision

RECORDS = sorted((Path(__file__).parents[2] / "catdog/promotion/records").iterdir())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CATDOG_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_API_URL", "")
    return tmp_path


@pytest.fixture
def catdog(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs the command line: exit code, and all that it printed on one line."""

    def call(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended, patch.dict(os.environ):
            main([*words, "--home", str(home)])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), " ".join((printed.out + printed.err).split())

    return call


def test_without_a_champion_show_says_how_to_get_one(
    catdog: Callable[..., tuple[int, str]],
) -> None:
    assert catdog("champion", "show") == (0, "There is no champion yet. Start a run: catdog run")
    code, text = catdog("champion", "rollback")
    assert code == 1
    assert "no earlier champion" in text


def test_promote_takes_the_best_on_validation_or_the_named_one(
    home: Path, catdog: Callable[..., tuple[int, str]]
) -> None:
    add_run(home, "monday", {"baseline": 30, "transfer": 45})
    assert (
        "transfer of run monday was made champion by hand"
        in catdog("champion", "promote", "latest")[1]
    )
    catdog("champion", "promote", "monday", "--model", "baseline")
    code, text = catdog("champion", "show")
    assert code == 0
    assert "Champion: baseline of run monday, accuracy 60.0 % on 100 test photos" in text
    assert "The next decision accepts a one-sided p of at most 0.005." in text


def test_promote_takes_the_model_that_challenged_after_the_run(
    home: Path, catdog: Callable[..., tuple[int, str]]
) -> None:
    add_run(home, "monday", {"baseline": 45, "transfer": 45}, winner="transfer")
    text = catdog("champion", "promote", "latest")[1]
    assert "transfer of run monday was made champion by hand" in text
    (runs_folder(Store(home)) / "monday" / "comparison.json").unlink()
    code, text = catdog("champion", "promote", "monday")
    assert code == 1
    assert "has no report that names a winner" in text
    assert "For --model there are: baseline, transfer" in text


def test_history_and_json_tell_every_decision(
    home: Path,
    catdog: Callable[..., tuple[int, str]],
) -> None:
    add_run(home, "monday", {"baseline": 30, "transfer": 45})
    catdog("champion", "promote", "monday")
    catdog("champion", "promote", "monday", "--model", "baseline")
    catdog("champion", "rollback")
    _, text = catdog("champion", "history")
    for outcome in ("promoted: by hand", "rolled-back:"):
        assert outcome in text
    newest = json.loads(catdog("champion", "show", "--json")[1])
    assert (newest["outcome"], newest["champion"]["name"]) == ("rolled-back", "transfer")


def test_a_run_in_which_nothing_changed_says_which_decision_stands(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, registry = Store(home), Registry(home)
    for name, right in (("a", 30), ("b", 31)):
        add_run(home, name, {"baseline": right})
        registry.challenge(choose_entrant(store, name, None), Promotion())
    again = load_run("b", store).model_copy(update={"id": "c"})
    print_decision(again, Settings.load(home=home))
    text = " ".join(capsys.readouterr().out.split())
    assert "Champion: decision 2 stands. baseline of run a stays champion" in text
    print_decision(again, Settings.load(home=home, promote=False))
    assert not capsys.readouterr().out


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_decision_of_an_older_version_is_shown_as_it_was_told(
    home: Path, catdog: Callable[..., tuple[int, str]], record: Path
) -> None:
    folder = home / "champion" / "decisions"
    folder.mkdir(parents=True)
    shutil.copyfile(record, folder / "000001.json")
    sentence = json.loads(record.read_text())["sentence"]
    assert sentence in catdog("champion", "show")[1]
    assert sentence in catdog("champion", "history")[1]
    assert json.loads(catdog("champion", "show", "--json")[1])["sentence"] == sentence


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("tuesday",), "There is no run 'tuesday'"),
        (("monday", "--model", "resnet"), "For --model there are: baseline."),
    ],
)
def test_an_unknown_run_or_model_is_one_line(
    home: Path, catdog: Callable[..., tuple[int, str]], words: tuple[str, ...], problem: str
) -> None:
    add_run(home, "monday", {"baseline": 30})
    code, text = catdog("champion", "promote", *words)
    assert code == 1
    assert problem in text


def test_no_model_of_a_cross_validation_is_used_or_made_champion(
    home: Path, catdog: Callable[..., tuple[int, str]]
) -> None:
    add_run(home, "a", {"baseline": 30})
    add_run(home, "b", {"baseline": 45, "transfer": 50}, folds=5)
    assert choose_model(Store(home), None).model.key == "a-baseline"
    assert choose_model(Store(home), "baseline").model.key == "a-baseline"
    for words in ((), ("--model", "transfer")):
        code, text = catdog("champion", "promote", "b", *words)
        assert code == 1
        assert "Run b is a cross-validation" in text
        assert "without folds" in text


def test_each_task_is_shown_chosen_and_taken_back_by_its_name(
    home: Path, catdog: Callable[..., tuple[int, str]]
) -> None:
    add_run(home, "monday", {"baseline": 30, "transfer": 45})
    catdog("champion", "promote", "monday", "--model", "baseline")
    for model in ("baseline", "transfer"):
        words = ("champion", "promote", "monday", "--model", model, "--task", "night")
        assert f"Task night: {model} of run monday was made" in catdog(*words)[1]
    _, text = catdog("champion", "show")
    assert "Champion: baseline of run monday" in text
    assert text.endswith("Other tasks have champions of their own (--task): night.")
    assert "Champion: transfer of" in catdog("champion", "show", "--task", "night")[1]
    assert choose_model(Store(home), None, "night").model.name == "transfer"
    assert catdog("champion", "rollback", "--task", "night")[0] == 0
    assert json.loads(catdog("champion", "show", "--json", "--task", "night")[1])["number"] == 3
    assert choose_model(Store(home), None, "night").model.name == "baseline"


@pytest.mark.parametrize(
    "words",
    [
        ("champion", "show"),
        ("champion", "history"),
        ("champion", "rollback"),
        ("predict", __file__),
        ("export", "--to", "there"),
        ("api", "--port", "0"),
    ],
)
def test_a_task_that_is_not_there_is_one_line_with_those_that_are(
    home: Path, catdog: Callable[..., tuple[int, str]], words: tuple[str, ...]
) -> None:
    add_run(home, "monday", {"baseline": 30})
    code, text = catdog(*words, "--task", "owls")
    assert code == 1
    assert "There is no champion of task 'owls'" in text
    catdog("champion", "promote", "monday", "--task", "birds")
    for more in ((), ("--task", "owls")):
        named = more[-1] if more else "default"
        problem = f"There is no champion of task '{named}', only of birds."
        assert catdog(*words, *more) == (1, f"Error: {problem} Choose a task with --task.")


def test_predict_uses_the_champion_and_a_name_overrides_it(
    home: Path, catdog: Callable[..., tuple[int, str]]
) -> None:
    store = Store(home)
    add_run(home, "a", {"baseline": 30})
    before = choose_model(store, None).model
    assert before.key == "a-baseline", "without a champion the newest run's"
    catdog("champion", "promote", "a")
    add_run(home, "b", {"baseline": 45, "transfer": 50})
    assert choose_model(store, None).model.content == before.content
    assert choose_model(store, "transfer").model.key == "b-transfer"


def test_a_lost_champion_is_an_error_not_another_model(
    home: Path, catdog: Callable[..., tuple[int, str]]
) -> None:
    add_run(home, "a", {"baseline": 30})
    catdog("champion", "promote", "a")
    choose_model(Store(home), None).model.file("model.keras").unlink()
    with pytest.raises(StoreError, match="missing or damaged"):
        choose_model(Store(home), None)


def test_a_champion_keeps_its_flatbuffer_when_the_store_is_pruned(
    home: Path, catdog: Callable[..., tuple[int, str]]
) -> None:
    add_run(home, "a", {"baseline": 45})
    store = Store(home)
    model = choose_model(store, None).model

    def make(folder: Path) -> dict[str, float]:
        (folder / FILE).write_bytes(b"flatbuffer")
        return {"difference": 0.0}

    store.obtain(Recipe(Flatbuffer, model.flatbuffer_key, make))
    catdog("champion", "promote", "a")
    shutil.rmtree(home / "store")
    champion = choose_model(store, None).model
    assert flatbuffer_of(champion, store).file(FILE).read_bytes() == b"flatbuffer"
