import ast
import gc
import json
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import catdog
from catdog.store import digest
from catdog.store.digest import (
    KEY_LENGTH,
    code_digest,
    digest_once,
    file_digest,
    make_key,
    modules_covered,
    value_digest,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)  # fmt: skip

many = settings(deadline=None, max_examples=50)
Write = Callable[..., str]

MAKER = '"""Make it."""\n\nfrom catdog.probe_helper import double\n\n\ndef make(n):\n    {}\n'
HELPER = '"""Help."""\n\n\ndef double(n):\n    """Twice."""\n    return {} * n\n'


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write modules into the catdog package for one test, and give the digest of the maker.

    `room.inner` is a module in a package, and `room.__init__` that package's own code.
    """
    monkeypatch.setattr(catdog, "__path__", [*catdog.__path__, str(tmp_path)])

    def write(**modules: str) -> str:
        for name, source in modules.items():
            file = tmp_path / f"probe_{name.replace('.', '/')}.py"
            file.parent.mkdir(exist_ok=True)
            if file.parent != tmp_path:
                (file.parent / "__init__.py").touch()
            file.write_text(source)
        forget()
        return code_digest("catdog.probe_maker")

    yield write
    forget()


def forget() -> None:
    code_digest.cache_clear()
    digest._read.cache_clear()


def test_an_edit_of_the_maker_or_of_a_helper_changes_the_digest(write: Write) -> None:
    first = write(maker=MAKER.format("return double(n)"), helper=HELPER.format(2))
    assert write(helper=HELPER.format(3)) != first
    assert write(helper=HELPER.format(2)) == first
    assert write(maker=MAKER.format("return double(n) + 1")) != first


def test_comments_docstrings_and_layout_do_not_change_the_digest(write: Write) -> None:
    first = write(maker=MAKER.format("return double(n)"), helper=HELPER.format(2))
    same = '"""Other words."""\n# a remark\ndef double(n):\n    return (2\n        * n)  # twice\n'
    assert write(helper=same) == first


def test_the_words_below_a_constant_or_field_do_not_change_the_digest(write: Write) -> None:
    source = 'SIZE = 64\n"""{0}"""\n\n\nclass Row:\n    name: str\n    """{0}"""\n'
    first = write(maker=source.format("Changes no number."))
    assert write(maker=source.format("Other words.")) == first
    assert write(maker=source.format("Other words.").replace("64", "65")) != first


def test_a_string_that_is_not_a_docstring_counts(write: Write) -> None:
    first = write(maker='NAME = "cat"\n')
    assert write(maker='NAME = "dog"\n') != first


@pytest.mark.parametrize(
    "statement",
    [
        "from catdog.probe_helper import double",
        "from catdog import probe_helper",
        "import catdog.probe_helper",
        "import catdog.probe_helper as helper",
        "def make():\n    from catdog.probe_helper import double",
        "from catdog.probe_middle import anything",
    ],
)
def test_every_way_of_importing_a_helper_is_followed(write: Write, statement: str) -> None:
    middle = "from catdog import probe_helper\n\nanything = probe_helper.double\n"
    first = write(maker=statement, middle=middle, helper=HELPER.format(2))
    assert write(helper=HELPER.format(3)) != first


@pytest.mark.parametrize(
    "statement",
    [
        "import catdog.probe_room.helper",
        "import catdog.probe_room.helper as helper",
        "from catdog.probe_room import helper",
        "from catdog.probe_room import helper as other, SIZE",
        "from catdog.probe_room.helper import double",
        "from catdog.probe_room.helper import *",
        "def make():\n    from catdog.probe_room import helper",
        "def make():\n    import catdog.probe_room.helper as helper",
        "from importlib import import_module\nhelper = import_module('catdog.probe_room.helper')",
        "import importlib\ndef make():\n    importlib.import_module('catdog.probe_room.helper')",
    ],
)
def test_every_way_of_importing_from_a_room_is_followed(write: Write, statement: str) -> None:
    room = {"room.__init__": "SIZE = 64\n", "room.helper": HELPER.format(2)}
    first = write(maker=statement, **room, **{"room.other": "OTHER = 1\n"})
    assert write(**{"room.helper": HELPER.format(3)}) != first
    assert write(**{"room.helper": HELPER.replace("Twice", "Double").format(2)}) == first
    assert write(**{"room.__init__": "SIZE = 65\n"}) != first, "Python runs it on the way"
    assert write(**{"room.__init__": '"""A room."""\n\nSIZE = 64  # small\n'}) == first
    assert write(**{"room.other": "OTHER = 2\n"}) == first, "nobody imports it"


@pytest.mark.parametrize(
    "statement",
    [
        "from catdog import probe_room",
        "from catdog.probe_room import double",
        "import catdog.probe_room as room",
        "from catdog.probe_room.other import OTHER",
    ],
)
def test_what_a_room_itself_imports_is_followed(write: Write, statement: str) -> None:
    inside = {
        "room.__init__": "from catdog.probe_room.helper import double\n",
        "room.other": "OTHER = 1\n",
    }
    first = write(maker=statement, **inside, **{"room.helper": HELPER.format(2)})
    assert write(**{"room.helper": HELPER.format(3)}) != first


def test_the_rooms_around_a_room_count(write: Write) -> None:
    first = write(
        **{"maker": "from catdog.probe_room.inner import helper\n", "room.__init__": "SIZE = 64\n"},
        **{"room.inner.__init__": "", "room.inner.helper": HELPER.format(2)},
    )
    assert write(**{"room.__init__": "SIZE = 65\n"}) != first
    assert write(**{"room.__init__": "SIZE = 64\n", "room.inner.helper": HELPER.format(3)}) != first


@pytest.mark.parametrize("condition", ["TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_what_only_a_type_checker_sees_does_not_count(write: Write, condition: str) -> None:
    source = "if {}:\n    from catdog.probe_helper import {}\nelse:\n    VALUE = {}\n"
    maker = source.format(condition, "double", 1)
    first = write(maker=maker, helper=HELPER.format(2))
    assert modules_covered("catdog.probe_maker") == {"catdog.probe_maker"}
    assert write(helper=HELPER.format(3)) == first
    assert write(maker=source.format(condition, "double as twice", 1)) == first
    assert write(maker=source.format(condition, "double", 2)) != first


def test_what_is_imported_where_a_type_checker_does_not_look_counts(write: Write) -> None:
    maker = "if TYPE_CHECKING:\n    pass\nelse:\n    from catdog import probe_helper\n"
    first = write(maker=maker, helper=HELPER.format(2))
    assert write(helper=HELPER.format(3)) != first


@pytest.mark.parametrize(
    "statement",
    [
        "import catdog",
        "import catdog as cd",
        "import catdog.probe_helper",
        "from catdog import train",
        "from catdog import *",
    ],
)
def test_the_package_counts_where_its_own_name_is_imported(write: Write, statement: str) -> None:
    write(maker=statement, helper="")
    covered = modules_covered("catdog.probe_maker")
    assert {"catdog", *modules_covered("catdog")} < covered


@pytest.mark.parametrize(
    "statement",
    ["import catdog.probe_helper as helper", "from catdog import probe_helper"],
)
def test_the_package_does_not_count_on_the_way_to_a_module(write: Write, statement: str) -> None:
    write(maker=statement, helper="")
    assert modules_covered("catdog.probe_maker") == {"catdog.probe_maker", "catdog.probe_helper"}


def test_no_module_is_imported_by_a_name_that_is_computed() -> None:
    """`catdog.store.digest` could not follow it."""
    computed = [
        f"{file}:{node.lineno}"
        for file in Path(catdog.__path__[0]).rglob("*.py")
        if file.name != "user_code.py"  # the code of users is in the key by value
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and re.search("import_module$|__import__$", name_of(node))
        if not node.args or not isinstance(node.args[0], ast.Constant)
    ]
    assert computed == []


def name_of(call: ast.Call) -> str:
    return ast.unparse(call.func)


def test_modules_that_import_each_other_are_followed_once(write: Write) -> None:
    helper = "import catdog.probe_maker\n\nVALUE = 1\n"
    first = write(maker="import catdog.probe_helper\n", helper=helper)
    assert write(helper=helper.replace("1", "2")) != first


def test_plumbing_does_not_count(write: Write) -> None:
    first = write(maker="VALUE = 1\n")
    with_plumbing = write(maker="from catdog.store.store import Store\n\nVALUE = 1\n")
    assert with_plumbing != first, "the import itself is code"
    assert with_plumbing == write(maker="from catdog.store.store import Store\nVALUE = 1  # same\n")


def test_a_package_of_plumbing_does_not_count_with_all_that_is_in_it(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest, "PLUMBING", {"catdog.probe_room"})
    maker = "from catdog.probe_room import helper\nfrom catdog import probe_roomy\n"
    first = write(maker=maker, roomy="A = 1\n", **{"room.helper": HELPER.format(2)})
    assert write(**{"room.helper": HELPER.format(3), "room.__init__": "A = 1\n"}) == first
    assert write(roomy="A = 2\n") != first, "only its name begins alike"


def test_a_module_of_plumbing_takes_nothing_else_of_its_package_with_it(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest, "PLUMBING", {"catdog.probe_room.helper"})
    maker = "from catdog.probe_room import helper, other\n"
    inside = {"room.helper": HELPER.format(2), "room.other": "A = 1\n", "room.__init__": ""}
    first = write(maker=maker, **inside)
    assert write(**{"room.helper": HELPER.format(3)}) == first
    assert write(**{"room.other": "A = 2\n"}) != first
    assert write(**inside | {"room.__init__": "A = 1\n"}) != first


def test_all_plumbing_exists() -> None:
    assert [name for name in digest.PLUMBING if digest._file(name) is None] == []


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Let Python change threads wherever it may: also where its garbage collector runs."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()

    def pause(phase: str, info: dict[str, int]) -> None:
        for _ in range(100):
            pass

    gc.callbacks.append(pause)
    gc.set_threshold(10)
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)
    gc.callbacks.remove(pause)


def test_threads_that_ask_at_once_all_get_the_digest(eager_switching: None) -> None:
    modules = [
        f"catdog.{name}"
        for name in ("comparison.compare", "photos.split", "comparison.over_photos", "models")
    ]
    forget()
    with ThreadPoolExecutor(len(modules)) as threads:
        at_once = list(threads.map(code_digest, modules))
    forget()
    assert at_once == [code_digest(module) for module in modules]


def test_a_module_without_source_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        code_digest("catdog.no_such_module")


@many
@given(JSON)
def test_a_value_has_one_digest_however_it_is_spelt(value: object) -> None:
    respelt = json.loads(json.dumps(value, indent=3, ensure_ascii=False))
    assert value_digest(respelt) == value_digest(value)


@many
@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_the_order_of_names_does_not_matter(value: dict[str, int]) -> None:
    assert value_digest(dict(reversed(value.items()))) == value_digest(value)


@many
@given(JSON, JSON)
def test_different_values_have_different_digests(one: object, other: object) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (value_digest(one) == value_digest(other)) is same


def test_a_tuple_counts_as_the_list_that_json_makes_of_it() -> None:
    assert value_digest(("cats", "dogs")) == value_digest(["cats", "dogs"])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_spell_in_one_way_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        value_digest(value)


@pytest.mark.parametrize("value", [{1, 2}, Path("photos"), b"bytes"])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        value_digest(value)


def test_a_key_depends_on_each_of_its_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(seed: int = 1, module: str = "catdog.training.seeding", library: str = "numpy") -> str:
        return make_key(code=(module,), libraries=(library,), seed=seed)

    keys = {key(), key(seed=2), key(module="catdog.models"), key(library="pillow")}
    monkeypatch.setattr(digest, "version", lambda name: "0.0")
    keys.add(key())
    assert len(keys) == 5
    assert all(len(k) == KEY_LENGTH for k in keys)


def test_the_digest_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    file = tmp_path / "photo"
    file.write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_digest(file) == digest_once(file) == expected


def test_an_unchanged_file_is_read_once_and_a_changed_one_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def spy(path: Path) -> str:
        read.append(path)
        return file_digest(path)

    monkeypatch.setattr(digest, "file_digest", spy)
    file = tmp_path / "photo"
    file.write_bytes(b"cat")
    first = digest_once(file)
    assert digest_once(file) == first
    assert len(read) == 1
    file.unlink()
    file.write_bytes(b"dogs")
    assert digest_once(file) != first
    assert len(read) == 2
