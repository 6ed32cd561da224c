import pytest
from hypothesis import given
from hypothesis import strategies as st

from catdog.wording import (
    ci,
    counted,
    difference,
    duration,
    escaped,
    listing,
    p_text,
    percent,
    plural,
    points,
    size,
)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1, "100 %"), (0.979, "97.9 %"), (0.9999, "> 99.9 %"), (0.0001, "< 0.1 %")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.96, "1 min 00 s"), (372, "6 min 12 s"), (7_500, "2 h 05 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 B"), (9_400_000, "9.4 MB"), (2_345_000_000, "2.35 GB")]
)
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text


def test_small_things() -> None:
    assert listing(["a"]) == "a"
    assert listing(("a", "b", "c")) == "a, b and c"
    assert points(0.0001) == "0.0"
    assert ci(0.9384, 0.986) == "95 % CI 93.8 to 98.6 %"
    assert difference(0.097, 0.031, 0.162) == "+9.7 percentage points, 95 % CI +3.1 to +16.2"
    assert points(-0.042) == "-4.2"
    assert p_text(0.0001) == "p < 0.001"
    assert p_text(0.8) == "p = 0.80"
    assert p_text(1) == "p = 1.0"


def test_words_agree_with_their_count() -> None:
    assert [counted(n, "pair") for n in (0, 1, 2, 1200)] == [
        "0 pairs",
        "1 pair",
        "2 pairs",
        "1,200 pairs",
    ]
    assert [plural(n, "is", "are") for n in (1, 2)] == ["is", "are"]


@given(st.text(st.characters(codec=None)))
def test_an_escaped_name_is_one_valid_line_and_says_which_it_was(name: str) -> None:
    found = escaped(name)
    assert len(f"{found}.".splitlines()) == 1
    found.encode()
    assert escaped(found) == found


def test_names_in_all_scripts_are_shown_as_they_are() -> None:
    for name in ("Кошки/мой кот", "犬", "e\u0301", "a\u202f1", "👩‍🚀", "'\"|`\\n"):
        assert escaped(name) == name
    assert escaped("a\n\x1b\udcff") == r"a\n\x1b\udcff"
