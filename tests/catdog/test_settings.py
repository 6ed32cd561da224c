import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from catdog.backbones import BACKBONES
from catdog.configuration import PREFIX, given_values
from catdog.errors import SettingsError
from catdog.models import DEFAULT, MODELS
from catdog.settings import Settings, schema
from flows.cli.app import app

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
PLAUSIBLE = st.fixed_dictionaries(
    {},
    optional={
        "source": WORDS,
        "models": st.lists(st.sampled_from(list(MODELS)), min_size=1),
        "epochs": st.integers(1, 10_000),
        "seed": st.integers(0, 2**31 - 1),
        "repeats": st.integers(1, 100),
        "batch_size": st.integers(1, 4096),
        "image_size": st.integers(32, 1024),
        "validation_share": st.floats(0, 1, exclude_min=True, exclude_max=True),
        "test_share": st.floats(0, 1, exclude_min=True, exclude_max=True),
        "duplicates": st.sampled_from(["drop", "keep"]),
        "backbone": st.sampled_from(list(BACKBONES)),
        "weights": WORDS,
        "folds": st.integers(3, 20),
        "task": st.sampled_from(["birds", "Vögel_2", "a.b-c"]),
        "patience": st.integers(0, 100),
        "learning_rate": st.floats(0, 1, exclude_min=True),
        "schedule": st.sampled_from(["declared", "constant", "cosine"]),
        "label_smoothing": st.floats(0, 1, exclude_max=True),
        "augmentation": st.sampled_from(["declared", "none", "standard", "stronger"]),
        "precision": st.sampled_from(["float32", "bfloat16"]),
    },
).map(lambda given: given if given.get("repeats", 1) == 1 else {**given, "folds": None})

many = hypothesis_settings(deadline=None, max_examples=50)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment and a current folder in which no setting is made."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    return monkeypatch


def test_the_defaults_are_the_notebooks() -> None:
    settings = Settings.load()
    assert settings.source == "official"
    assert settings.models == DEFAULT
    assert (settings.epochs, settings.batch_size, settings.image_size) == (20, 32, 160)
    assert settings.home.is_absolute()


@pytest.mark.parametrize("given", ["all", ["all"]])
def test_all_models_are_asked_for_by_one_word(given: Any) -> None:
    assert Settings.load(models=given).models == tuple(MODELS)


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "-a", ".a", "..", "a/b", "/a", "a\\b", "a\n", "a\0", "\udcff", "é" * 128],
)
def test_a_task_that_could_be_no_folder_is_one_line(name: str) -> None:
    with pytest.raises(SettingsError, match=r"task: (must be letters|is too long)") as caught:
        Settings.load(task=name)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500


def test_a_keyword_wins_over_the_environment_and_that_over_the_default(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("CATDOG_EPOCHS", "7")
    environment.setenv("CATDOG_MODELS", "transfer, baseline")
    assert Settings.load().epochs == 7
    assert Settings.load(epochs=3).epochs == 3
    assert Settings.load(epochs=None).epochs == 7, "None means not given"
    assert Settings.load().models == ("transfer", "baseline")
    assert Settings.load().seed == Settings.model_fields["seed"].default


def test_a_file_counts_below_the_environment(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "catdog.toml").write_text('epochs = 7\nseed = 5\nmodels = ["transfer"]\n')
    environment.setenv("CATDOG_SEED", "6")
    settings = Settings.load(epochs=None)
    assert (settings.epochs, settings.seed, settings.models) == (7, 6, ("transfer",))
    assert Settings.load(epochs=3).epochs == 3
    origins = {
        name: given.origin
        for name, given in given_values({"epochs": 3}, Settings.model_fields).items()
    }
    assert origins == {"models": str(tmp_path / "catdog.toml"), "seed": "CATDOG_SEED", "epochs": ""}


def test_the_nearest_file_upwards_counts_alone(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    below = tmp_path / "project" / "notebooks"
    below.mkdir(parents=True)
    (tmp_path / "catdog.toml").write_text("epochs = 7\nseed = 5\n")
    project = below.parent / "pyproject.toml"
    project.write_text('[tool.catdog]\nepochs = 8\nhome = "kept"\n')
    (below / "pyproject.toml").write_text("[tool.other]\nepochs = 9\n")
    environment.chdir(below)
    settings = Settings.load()
    assert (settings.epochs, settings.seed) == (8, Settings.model_fields["seed"].default)
    assert settings.home == below.parent / "kept", "relative to the file, not to where one is"
    environment.setenv("CATDOG_CONFIG", "../../catdog.toml")
    assert Settings.load().seed == 5


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("epoch = 3", ["'epoch'", "Did you mean epochs?"]),
        ("purr = 3", ["'purr'", "Choose from source, models"]),
        ("epochs = 0", ["epochs: ", "got 0"]),
        ("home = 3", ["home: ", "got 3"]),
        ('home = ""', ["home: is empty: name a folder", "catdog.toml"]),
        ("epochs", ["cannot be read as settings"]),
    ],
)
def test_a_wrong_file_is_one_line_that_names_it(
    tmp_path: Path, text: str, parts: list[str]
) -> None:
    (tmp_path / "catdog.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    message = str(caught.value)
    assert "\n" not in message
    for part in [*parts, str(tmp_path / "catdog.toml")]:
        assert part in message


def test_a_file_that_is_named_must_be_there(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CATDOG_CONFIG", "nowhere.toml")
    with pytest.raises(SettingsError, match=r"nowhere\.toml .*--config"):
        Settings.load()


def test_an_editor_learns_names_types_and_limits_from_the_schema() -> None:
    made = schema()
    assert made["properties"].keys() == Settings.model_fields.keys()
    assert made["properties"]["epochs"]["maximum"] == 10_000
    assert made["additionalProperties"] is False
    assert str(Path.home()) not in json.dumps(made)


def test_an_empty_variable_is_as_good_as_none(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CATDOG_EPOCHS", "")
    environment.setenv("CATDOG_HOME", "")
    assert Settings.load().epochs == 20
    assert Settings.load().home != Path.cwd()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("CATDOG_EPOCH", "Did you mean CATDOG_EPOCHS?"),
        ("CATDOG_modles", "Did you mean CATDOG_MODELS?"),
        ("CATDOG_QQQQQQQQ", "Choose from CATDOG_SOURCE, CATDOG_MODELS"),
    ],
)
def test_an_unknown_variable_is_an_error_that_helps(
    environment: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    environment.setenv(name, "5")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert name.upper() in caught.value.problem
    assert hint in caught.value.remedy


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({"models": "resnet"}, ["models", "resnet", ", ".join(MODELS)]),
        ({"backbone": "vgg"}, ["backbone", "vgg", ", ".join(BACKBONES)]),
        ({"models": "baseline,"}, ["models", "unknown model ''", "transfer"]),
        ({"models": []}, ["models"]),
        ({"models": "a.py:net,b.py:net"}, ["a.py:net", "b.py:net", "the same name"]),
        ({"models": "a.py:transfer"}, ["'transfer' and 'a.py:transfer'", "the same name"]),
        ({"models": "a.py:all"}, ["'a.py:all'", "the same name"]),
        ({"models": "a.py:../../net"}, ["'a.py:../../net'", "FILE.py:FUNCTION"]),
        ({"models": "a.py:net-1"}, ["'a.py:net-1'"]),
        ({"models": f"a.py:{'n' * 65}"}, ["unknown model"]),
        ({"models": ["a,b.py:net"]}, ["'a,b.py:net'"]),
        ({"models": ["a.py:net\n"]}, ["unknown model"]),
        ({"epochs": 0}, ["epochs", "greater than or equal to 1", "got 0"]),
        ({"epochs": -1}, ["epochs", "got -1"]),
        ({"epochs": "many"}, ["epochs", "integer", "'many'"]),
        ({"patience": -1}, ["patience", "got -1"]),
        ({"learning_rate": 0}, ["learning_rate", "greater than 0", "got 0"]),
        ({"learning_rate": float("nan")}, ["learning_rate", "got nan"]),
        ({"schedule": "step"}, ["schedule", "'constant' or 'cosine'", "'step'"]),
        ({"label_smoothing": 1}, ["label_smoothing", "less than 1", "got 1"]),
        ({"class_weights": "equal"}, ["class_weights", "'none' or 'balanced'", "'equal'"]),
        ({"augmentation": "more"}, ["augmentation", "'stronger'", "'more'"]),
        ({"precision": "float16"}, ["precision", "'bfloat16'", "'float16'"]),
        ({"seed": 2**31}, ["seed", "less than 2147483648"]),
        ({"validation_share": 1}, ["validation_share", "less than 1"]),
        ({"test_share": float("nan")}, ["test_share"]),
        ({"duplicates": "burn"}, ["duplicates", "'drop' or 'keep'", "'burn'"]),
        ({"folds": 2}, ["folds", "greater than or equal to 3", "got 2"]),
        ({"parallel": 0}, ["parallel", "got 0"]),
        ({"runner": "ray"}, ["runner", "'process' or 'dask'", "'ray'"]),
        ({"runner": "dask", "dask_address": "host"}, ["dask_address", "tcp", "'host'"]),
        ({"source": ""}, ["source"]),
        ({"batch": 3}, ["batch", "not permitted"]),
        ({"epochs": 0, "seed": -1}, ["epochs", "seed"]),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_setting_and_the_choices(
    given: dict[str, Any], parts: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load(**given)
    message = str(caught.value)
    assert "\n" not in message
    for part in [*parts, "catdog run --help"]:
        assert part in message


def test_an_address_is_refused_without_the_runner_that_uses_it(
    environment: pytest.MonkeyPatch,
) -> None:
    address = "tcp://127.0.0.1:8786"
    with pytest.raises(SettingsError, match="not used by the runner 'process'") as caught:
        Settings.load(dask_address=address)
    assert "--runner dask" in caught.value.remedy
    assert Settings.load(dask_address=address, runner="dask").dask_address == address
    environment.setenv("CATDOG_DASK_ADDRESS", address)
    assert Settings.load().dask_address == address, "commands that train nothing do not care"


def test_folds_and_repeats_exclude_each_other() -> None:
    with pytest.raises(SettingsError, match=r"folds: not together with repeats \(got 5 and 2\)"):
        Settings.load(folds=5, repeats=2)
    assert Settings.load(folds=5).trainings == 5
    assert Settings.load(repeats=2).trainings == 2


def test_where_a_run_works_is_not_asked() -> None:
    on_dask = Settings.load(runner="dask", dask_address="tcp://127.0.0.1:8786")
    assert on_dask.asked() == Settings.load().asked()


def test_a_wrong_value_in_the_environment_is_an_error_too(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CATDOG_EPOCHS", "soon")
    with pytest.raises(SettingsError, match=r"epochs: .*'soon'"):
        Settings.load()


def test_a_model_named_twice_is_trained_once_in_the_first_place() -> None:
    assert Settings.load(models="transfer,baseline,transfer").models == ("transfer", "baseline")


def test_a_model_of_ones_own_is_kept_as_it_was_given() -> None:
    settings = Settings.load(models="transfer,nets/my models.py:net,package.module:other")
    own = ("transfer", "nets/my models.py:net", "package.module:other")
    assert settings.models == own
    assert "--models 'transfer,nets/my models.py:net,package.module:other'" in settings.command()
    assert Settings.of(settings.asked()).models == own, "though nothing of it is here"


def test_all_models_may_be_joined_by_others() -> None:
    assert Settings.load(models="all,nets.py:net").models == (*MODELS, "nets.py:net")


def test_the_files_of_models_are_relative_to_the_file_that_names_them(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "catdog.toml").write_text('models = "transfer,nets.py:net"\n')
    (tmp_path / "below").mkdir()
    environment.chdir(tmp_path / "below")
    assert Settings.load().models == ("transfer", f"{tmp_path}/nets.py:net")


def test_whose_code_may_run_is_set_where_it_runs(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert Settings.load().model_paths == ()
    environment.chdir(tmp_path)
    environment.setenv("CATDOG_MODEL_PATHS", "/srv/nets, nets")
    assert Settings.load().model_paths == (Path("/srv/nets"), tmp_path / "nets")
    assert "model_paths" not in Settings.load().asked()


def test_the_home_is_made_absolute(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.chdir(tmp_path)
    environment.setenv("HOME", str(tmp_path / "me"))
    assert Settings.load(home="cats").home == tmp_path / "cats"
    assert Settings.load(home="~/cats").home == tmp_path / "me" / "cats"


def test_the_command_names_only_what_is_not_as_by_default() -> None:
    assert Settings.load().command() == "catdog run"
    settings = Settings.load(source="my photos", epochs=3, parallel=2, home="/elsewhere")
    assert settings.command() == "catdog run --source 'my photos' --epochs 3"


@many
@example({"source": "--epochs", "weights": "-"})
@given(PLAUSIBLE)
def test_the_command_repeats_the_run(given: dict[str, Any]) -> None:
    settings = Settings.load(**given)
    words = shlex.split(settings.command())
    _, bound, _ = app.parse_args(words[1:], exit_on_error=False, print_error=False)
    assert Settings.load(**bound.arguments) == settings


@many
@given(PLAUSIBLE)
def test_what_was_asked_is_plain_json_and_can_be_loaded_again(given: dict[str, Any]) -> None:
    asked = Settings.load(**given).asked()
    assert Settings.load(**asked).asked() == asked


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("https://me:secret@host/a.zip#sha256=00", "https://host/a.zip#sha256=00"),
        ("HTTP://secret@host:8000/a@b.zip", "HTTP://host:8000/a@b.zip"),
        ("https://host/me@home.zip", "https://host/me@home.zip"),
        ("my@photos", "my@photos"),
    ],
)
def test_secrets_in_an_address_are_not_written_down(source: str, written: str) -> None:
    settings = Settings.load(source=source)
    assert settings.asked()["source"] == written
    assert "secret" not in settings.command()


def test_a_source_without_its_secrets_is_completed_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = "https://me:secret@host/a.zip?token=secret"
    monkeypatch.setenv("CATDOG_SOURCE", whole)
    assert Settings.load(source="https://host/a.zip?token=HIDDEN").source == whole
    assert Settings.load(source="https://other/a.zip?token=HIDDEN").source != whole
    assert Settings.load().source == whole


def test_the_login_of_an_mlflow_server_goes_to_that_server_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = "http://me:secret@host:5000"
    monkeypatch.setenv("CATDOG_MLFLOW", whole)
    assert Settings.load(mlflow="http://host:5000").mlflow == whole
    assert Settings.load(mlflow="http://other:5000").mlflow == "http://other:5000"
    assert Settings.load().addresses()["mlflow"] == whole
    assert "mlflow" not in Settings.load().asked()


@pytest.mark.parametrize("name", ["source", "mlflow"])
def test_an_address_that_is_no_text_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "catdog.toml").write_text(f"{name} = 5\n")
    with pytest.raises(SettingsError, match=rf"{name}: .*got 5, from .*catdog\.toml"):
        Settings.load()


def test_a_wrong_address_is_named_without_its_login() -> None:
    with pytest.raises(SettingsError, match="mlflow") as caught:
        Settings.load(mlflow="ftp://me:secret@host")
    assert "ftp://host" in caught.value.problem
    assert "secret" not in caught.value.problem


def test_the_remote_is_no_keyword(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be without effect: a store takes it from where the next process finds it, too."""
    with pytest.raises(SettingsError, match="CATDOG_REMOTE"):
        Settings.load(remote="s3://team/catdog")
    monkeypatch.setenv("CATDOG_REMOTE", "s3://team/catdog")
    assert Settings.load().remote == "s3://team/catdog"
