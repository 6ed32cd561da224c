import gc
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import catdog
from catdog import digest
from catdog.digest import (
    KEY_LENGTH,
    code_digest,
    digest_once,
    file_digest,
    make_key,
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
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write modules into the catdog package for one test, and give the digest of the maker."""
    monkeypatch.setattr(catdog, "__path__", [*catdog.__path__, str(tmp_path)])

    def write(**modules: str) -> str:
        for name, source in modules.items():
            (tmp_path / f"probe_{name}.py").write_text(source)
        importlib.invalidate_caches()
        code_digest.cache_clear()
        return code_digest("catdog.probe_maker")

    return write


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


def test_modules_that_import_each_other_are_followed_once(write: Write) -> None:
    helper = "import catdog.probe_maker\n\nVALUE = 1\n"
    first = write(maker="import catdog.probe_helper\n", helper=helper)
    assert write(helper=helper.replace("1", "2")) != first


def test_plumbing_does_not_count(write: Write) -> None:
    first = write(maker="VALUE = 1\n")
    with_plumbing = write(maker="from catdog.store import Store\n\nVALUE = 1\n")
    assert with_plumbing != first, "the import itself is code"
    assert with_plumbing == write(maker="from catdog.store import Store\nVALUE = 1  # same\n")


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
    modules = [f"catdog.{name}" for name in ("comparison", "manifest", "significance", "models")]
    code_digest.cache_clear()
    with ThreadPoolExecutor(len(modules)) as threads:
        at_once = list(threads.map(code_digest, modules))
    code_digest.cache_clear()
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
    def key(seed: int = 1, module: str = "catdog.seeding", library: str = "numpy") -> str:
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
