"""Numbers as people read them, the same in the report, the terminal and the Prefect UI."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from unicodedata import category

UNSEEN = frozenset(("Cc", "Cs", "Zl", "Zp"))
"""Unicode's control characters, surrogates (bytes of a name that are not UTF-8) and separators of
lines and paragraphs: all that ends a line for anybody, steers a terminal or cannot be written."""

LONGEST_QUOTE = 200
"""Characters: a line that one can still read."""

MARKUP = str.maketrans({mark: f"\\{mark}" for mark in "\\|*_`<[]"})
"""What Markdown may take a character for, and how it is written to stand for itself."""


def percent(share: float) -> str:
    """A share as a percentage: "97.9 %"; never rounded up to 100 or down to 0."""
    value = round(100 * share, 1)
    if value == 100 and share < 1:
        return "> 99.9 %"
    if value == 0 and share > 0:
        return "< 0.1 %"
    return f"{value:g} %" if value in (0, 100) else f"{value:.1f} %"


def rate(share: float) -> str:
    """A share that somebody has chosen, as they wrote it: "1 %", "0.5 %"."""
    return f"{100 * share:.4g} %"


def points(difference: float) -> str:
    """A difference of accuracies as a number of percentage points, with its sign."""
    value = round(100 * difference, 1)
    return f"{value:+.1f}" if value else "0.0"


def span(low: float, high: float) -> str:
    """An interval of shares: "94.8 to 99.2 %"."""
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def ci(low: float, high: float) -> str:
    """A confidence interval of a share: "95 % CI 94.8 to 99.2 %"."""
    return f"95 % CI {span(low, high)}"


def difference(value: float, low: float, high: float) -> str:
    """A difference with its interval: "+9.7 percentage points, 95 % CI +3.1 to +16.2"."""
    return f"{points(value)} percentage points, 95 % CI {points(low)} to {points(high)}"


def p_text(p: float) -> str:
    """A p value as it is usually printed."""
    return "p < 0.001" if p < 0.001 else f"p = {p:#.2g}"


def duration(seconds: float) -> str:
    """Seconds as "4.2 s", "6 min 12 s" or "2 h 05 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def clock(seconds: float | None) -> str:
    """Seconds as h:mm:ss, for a column of a table; nothing when they are not known."""
    return "" if seconds is None else str(timedelta(seconds=round(seconds)))


def size(count: float) -> str:
    """Bytes in decimal units: "9.8 MB"."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


def plural(count: int, one: str, many: str = "") -> str:
    """The form of a word that goes with a count: its plural is `many`, or `one` with an s."""
    return one if count == 1 else many or f"{one}s"


def counted(count: int, one: str, many: str = "") -> str:
    """A count with its noun: "1 pair", "1,200 pairs"."""
    return f"{count:,} {plural(count, one, many)}"


def listing(names: Iterable[str]) -> str:
    """Names as a list in a sentence: "a, b and c"."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


FEW = 12
"""Classes that are listed, and shown one by one; of more, a sentence has their number."""


def classes_text(names: Sequence[str]) -> str:
    """Classes in a sentence: "cats and dogs", or "115 classes" where a list would be too long."""
    return listing(names) if len(names) <= FEW else f"{len(names):,} classes"


def plain(text: object) -> str:
    """Text on one line that cannot break a Markdown table or be taken for markup."""
    return " ".join(str(text).split()).translate(MARKUP)


def quoted(text: object) -> str:
    """What others have named or said, as an error may quote it: on one line, and not for ever."""
    shown = escaped(text)
    return shown if len(shown) <= LONGEST_QUOTE else f"{shown[:LONGEST_QUOTE]}..."


def escaped(text: object) -> str:
    """Text on one line that can be written: what cannot be seen in it as Python escapes it."""
    return "".join(
        char.encode("unicode_escape").decode() if category(char) in UNSEEN else char
        for char in str(text)
    )
