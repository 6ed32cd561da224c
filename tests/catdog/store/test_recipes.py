"""Each key counts all code that Python really loads to make its artifact."""

import ast
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import recipes

import catdog
from catdog.store.digest import ROOT, is_plumbing, modules_covered


@dataclass(frozen=True)
class Made:
    keys: dict[str, list[str]]
    """The code of each key that was asked for, by the function that asked."""
    loaded: frozenset[str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """What each recipe tells when a fresh interpreter follows it."""
    home = tmp_path_factory.mktemp("home")
    return {recipe.__name__: follow(recipe.__name__, home) for recipe in recipes.RECIPES}


def follow(recipe: str, home: Path) -> Made:
    done = subprocess.run(  # noqa: S603  our own script
        [sys.executable, recipes.__file__, recipe, str(home)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    return Made(told["keys"], frozenset(told["loaded"]))


@pytest.mark.parametrize("recipe", [recipe.__name__ for recipe in recipes.RECIPES])
def test_a_key_counts_all_code_that_is_loaded(recipe: str, made: dict[str, Made]) -> None:
    ((who, code),) = made[recipe].keys.items()
    matter = {name for name in made[recipe].loaded if name != ROOT and not is_plumbing(name)}
    missed = sorted(matter - modules_covered(*code))
    assert not missed, f"{who} asks for a key of {code}, which does not count {missed}"
    assert matter, "nothing was loaded"


def test_every_recipe_is_followed(made: dict[str, Made]) -> None:
    followed = {who for one in made.values() for who in one.keys}
    assert followed == {who for file in source_files() for who in askers(file)}


def source_files() -> list[Path]:
    return sorted(Path(catdog.__path__[0]).rglob("*.py"))


def askers(file: Path) -> list[str]:
    """The functions in a file that ask for a key with some code."""
    place = file.relative_to(Path(catdog.__path__[0]).parent).with_suffix("")
    module = ".".join(place.parts).removesuffix(".__init__")
    return [
        f"{module}.{function.name}"
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef)
        if any(asks(node) for node in ast.walk(function))
    ]


def asks(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or ast.unparse(node.func).split(".")[-1] != "make_key":
        return False
    code = {ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg == "code"}
    return code != {"()"}
