"""A model of the user's own is found, read and refused without running any of its code."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catdog.errors import CatdogError, SettingsError
from catdog.models import model_spec
from catdog.references import absolute, find_code, name_of, plugins, require_allowed

Write = Callable[..., Path]
NET = 'raise RuntimeError("it was run")\n\n\ndef net(classes, image_size):\n    return {}\n'


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes files below the test's folder, each given as its path and text."""

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's folder, where Python looks for modules and for what is installed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def meaning(reference: str) -> dict[str, str]:
    return find_code(reference).meaning


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("missing.py:net", ["no file", "missing.py", "FILE.py:FUNCTION"]),
        ("models.py:ne", ["no function 'ne'", "Did you mean net?"]),
        ("models.py:quite_different", ["no function", "def NAME(classes, image_size)"]),
        ("models.py:inner", ["no function 'inner'"]),
        ("broken.py:net", ["broken.py", "line 1"]),
        ("latin.py:net", ["latin.py", "not UTF-8"]),
        (f"{'long' * 100}.py:net", ["no file"]),
        ("~no-such-user/models.py:net", ["~no-such-user/models.py", "user"]),
        (":net", ["no module ''"]),
        (".:net", ["no module '.'", "PYTHONPATH"]),
        ("no_such_package.module:net", ["no module 'no_such_package.module'", "PYTHONPATH"]),
        ("os:system", ["no module 'os'"]),
        ("sys:exit", ["no module 'sys'"]),
        ("catdog.no_such_module:net", ["no module 'catdog.no_such_module'"]),
        ("relative.py:net", ["imports from the package around it", "MODULE:net"]),
        ("unheard_of", ["no model 'unheard_of'", "baseline, augmented"]),
    ],
)
def test_a_bad_reference_is_one_line_that_helps(
    write: Write, monkeypatch: pytest.MonkeyPatch, reference: str, parts: list[str]
) -> None:
    inner = NET.replace("    return", "    def inner(): ...\n    return")
    folder = write(
        {"models.py": inner, "broken.py": "def net(:\n", "relative.py": "from . import net\n"}
    )
    (folder / "latin.py").write_bytes(b"# \xe9\n")
    monkeypatch.chdir(folder)
    with pytest.raises(SettingsError) as caught:
        model_spec(reference)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


@settings(max_examples=50)
@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_is_named_is_found_or_refused(place: str, function: str) -> None:
    for reference in (f"{place}:{function}", f"{place}.py:{function}"):
        with pytest.raises(CatdogError):
            find_code(reference)


@pytest.mark.parametrize(
    "bound",
    [
        "from helper import net\n",
        "net = partial(build, 3)\n",
        "try:\n    def net(*given): ...\nexcept ImportError:\n    pass\n",
        "from helper import *\n",
    ],
)
def test_whatever_binds_the_name_may_be_the_function(write: Write, bound: str) -> None:
    assert find_code(f"{write({'models.py': bound})}/models.py:net").function == "net"


def test_a_model_is_called_like_its_function() -> None:
    assert name_of("my/models.py:net") == name_of("package.module:net") == name_of("net") == "net"


def test_a_file_is_relative_to_where_one_is_or_to_what_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/me")
    assert absolute("models.py:net") == f"{tmp_path}/models.py:net"
    assert absolute("models.py:net", Path("/there")) == "/there/models.py:net"
    assert absolute("~/models.py:net") == "/me/models.py:net"
    assert absolute("package.models:net") == "package.models:net"


HELPER = "import deeper.depth\n\n\ndef double(value):\n    return 2 * value\n"
FILES = {
    "models.py": f"import keras\nimport helper\n\n\n{NET}",
    "helper.py": HELPER,
    "deeper/depth.py": "DEPTH = 3\n",
    "other.py": "OTHER = 1\n",
}


@pytest.mark.parametrize(
    ("file", "text", "counts"),
    [
        ("models.py", FILES["models.py"].replace("{}", "[]"), True),
        ("models.py", f'"""Mine."""\n{FILES["models.py"]}# a comment\n', False),
        ("helper.py", HELPER.replace("2", "3"), True),
        ("helper.py", HELPER + "# a comment\n", False),
        ("deeper/depth.py", "DEPTH = 4\n", True),
        ("other.py", "OTHER = 2\n", False),
    ],
)
def test_the_key_covers_what_the_code_and_the_modules_beside_it_mean(
    write: Write, file: str, text: str, counts: bool
) -> None:
    reference = f"{write(FILES)}/models.py:net"
    before = meaning(reference)
    write({file: text})
    assert (meaning(reference) != before) is counts


def test_where_a_file_lies_and_what_it_is_called_does_not_count(write: Write) -> None:
    folder = write({**FILES, **{f"moved/{name}": text for name, text in FILES.items()}})
    (folder / "moved/models.py").rename(folder / "moved/nets.py")
    assert meaning(f"{folder}/models.py:net") == meaning(f"{folder}/moved/nets.py:net")


PACKAGE = {
    "my_nets/__init__.py": "SIZE = 64\n",
    "my_nets/small/__init__.py": "",
    "my_nets/small/nets.py": f"from ..blocks import block\n\n\n{NET}",
    "my_nets/blocks.py": "import my_common\n\n\ndef block():\n    return 1\n",
    "my_nets/other.py": "OTHER = 1\n",
    "my_common.py": "VALUE = 1\n",
}


@pytest.mark.parametrize(
    ("file", "text", "counts"),
    [
        ("my_nets/small/nets.py", PACKAGE["my_nets/small/nets.py"].replace("{}", "[]"), True),
        ("my_nets/blocks.py", PACKAGE["my_nets/blocks.py"].replace("return 1", "return 2"), True),
        ("my_nets/__init__.py", "SIZE = 65\n", True),
        ("my_nets/__init__.py", "SIZE = 64  # pixels\n", False),
        ("my_common.py", "VALUE = 2\n", True),
        ("my_nets/other.py", "OTHER = 2\n", False),
    ],
)
def test_the_key_covers_a_module_and_what_it_imports_of_its_neighbours(
    write: Write, importable: Path, file: str, text: str, counts: bool
) -> None:
    write(PACKAGE)
    before = meaning("my_nets.small.nets:net")
    write({file: text})
    assert (meaning("my_nets.small.nets:net") != before) is counts


def test_of_libraries_only_the_package_itself_is_covered() -> None:
    covered = find_code("tenacity.retry:retry_any").modules
    assert "tenacity.retry" in covered
    assert {name.partition(".")[0] for name in covered} == {"tenacity"}


@pytest.fixture
def installed(write: Write, importable: Path) -> Iterator[Callable[..., None]]:
    """Installs a package that has models, by the names and values of their entry points."""

    def install(distribution: str, **models: str) -> None:
        info = f"{distribution}-1.2.dist-info"
        points = "".join(f"{name} = {value}\n" for name, value in models.items())
        write(
            {
                f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n",
                f"{info}/top_level.txt": "my_nets\n",
                f"{info}/entry_points.txt": f"[catdog.models]\n{points}",
            }
        )

    write(PACKAGE)
    return install


def test_a_package_adds_its_models_by_entry_points(installed: Callable[..., None]) -> None:
    installed("nets", wide_net="my_nets.small.nets:net")
    spec = model_spec("wide_net")
    assert (spec.name, spec.title) == ("wide_net", "nets 1.2")
    assert spec.code
    assert (spec.code.function, spec.code.module) == ("net", "my_nets.small.nets")
    assert spec.code.meaning == meaning("my_nets.small.nets:net")


def test_a_package_cannot_take_the_place_of_our_models(installed: Callable[..., None]) -> None:
    installed("nets", transfer="my_nets.small.nets:net")
    assert model_spec("transfer").code is None


def test_two_packages_with_models_of_one_name_are_named(installed: Callable[..., None]) -> None:
    installed("nets", wide_net="my_nets.small.nets:net")
    installed("more_nets", wide_net="my_nets.other:OTHER")
    assert len(plugins()["wide_net"]) == 2
    with pytest.raises(SettingsError, match=r"nets 1\.2 and .*nets 1\.2 each have .*'wide_net'"):
        model_spec("wide_net")


def allow(reference: str, *folders: Path, never: tuple[Path, ...] = ()) -> None:
    require_allowed(reference, folders, never=never)


def test_a_deployment_runs_what_is_installed(installed: Callable[..., None]) -> None:
    installed("nets", wide_net="my_nets.small.nets:net")
    allow("transfer")
    allow("wide_net")
    allow("tenacity.retry:retry_any")


@pytest.mark.parametrize("reference", ["{}/models.py:net", "my_nets.small.nets:net"])
def test_a_deployment_runs_no_other_code_unless_a_setting_allows_it(
    write: Write, importable: Path, reference: str
) -> None:
    folder = write(FILES | PACKAGE)
    named = reference.format(folder)
    with pytest.raises(
        SettingsError, match=r"neither installed nor allowed here.*CATDOG_MODEL_PATHS"
    ):
        allow(named)
    with pytest.raises(SettingsError, match="nor allowed here"):
        allow(named, folder / "elsewhere")
    allow(named, folder)
    with pytest.raises(SettingsError, match="nor allowed here"):
        allow(named, folder, never=(folder,))


@pytest.mark.parametrize("path", ["allowed/../models.py", "allowed/link.py"])
def test_no_path_leads_out_of_the_folders_that_are_allowed(write: Write, path: str) -> None:
    folder = write({"models.py": NET, "allowed/mine.py": NET})
    (folder / "allowed/link.py").symlink_to(folder / "models.py")
    allow(f"{folder}/allowed/mine.py:net", folder / "allowed")
    with pytest.raises(SettingsError, match="nor allowed here"):
        allow(f"{folder}/{path}:net", folder / "allowed")


def test_a_model_without_counts_is_started_as_early_as_the_slowest(write: Write) -> None:
    from catdog.models import MODELS

    spec: Any = model_spec(f"{write({'models.py': NET})}/models.py:net")
    assert spec.cost == max(known.cost for known in MODELS.values())
    assert spec.parameters is None
