"""What the folder of an export says of itself, and how it is read back."""

from pathlib import Path

from pydantic import ValidationError

from catdog.errors import StoreError
from catdog.inference.caution import Knowledge, read_knowledge
from catdog.inference.classifier import Facts
from catdog.store.artifacts import Evidence, read_arrays
from catdog.store.digest import file_digest

DESCRIPTION = "preprocessing.json"
IN_WORDS = """\
Apply the EXIF orientation, lay transparency over white, and convert to RGB.
Resize to image_size x image_size: stretched, bilinear with half-pixel centres, no antialiasing.
Round to whole numbers, and pass them as float32 in 0..255: the model itself scales them.
The answer is a probability for each class, in the order of labels.txt.
""".splitlines()


class Description(Facts):
    """`preprocessing.json`: what a program must know to use an exported model.

    temperature: probabilities are calibrated by softmax(log(p) / temperature).
    """

    format: str
    model: str
    """The file or folder that holds it."""
    sha256: str | None
    """Of the file; None for a folder."""
    evidence: str | None = None
    """SHA-256 of `evidence.npz`, by which `catdog predict --risk` answers; None without one."""
    choices: int = 1
    """Models that the validation photos chose among."""
    resize: str = "bilinear, half-pixel centres, no antialiasing, aspect ratio not kept"
    layout: str = "NHWC"
    channels: str = "RGB"
    dtype: str = "float32"
    range: tuple[int, int] = (0, 255)
    steps: tuple[str, ...] = tuple(IN_WORDS)


AGAIN = "Export it again: 'catdog export'."


def read_export(folder: Path) -> tuple[Facts, Path]:
    """A LiteRT export: what is known of the model, and its file.

    Raises StoreError when the folder is no export, of another format, or damaged.
    """
    found = _described(folder)
    file = folder / Path(found.model).name
    if found.format != "litert":
        raise StoreError(
            f"{folder} is an export for others ({found.format}).",
            "catdog itself reads 'catdog export --format litert'.",
        )
    if not file.is_file() or file_digest(file) != found.sha256:
        raise StoreError(f"{file} is missing or damaged.", AGAIN)
    return found, file


def read_evidence(folder: Path) -> Knowledge:
    """What the model of an export knows.

    Raises StoreError when the export lacks it, as older ones do, or it is damaged.
    """
    found, file = _described(folder), folder / Evidence.NAME
    if found.evidence is None:
        raise StoreError(
            f"{folder} does not say what its model knows.", f"Leave out --risk. {AGAIN}"
        )
    if not file.is_file() or file_digest(file) != found.evidence:
        raise StoreError(f"{file} is missing or damaged.", AGAIN)
    return read_knowledge(read_arrays(file), found.name, found.choices)


def _described(folder: Path) -> Description:
    try:
        text = (folder / DESCRIPTION).read_text(encoding="utf-8")
        found = Description.model_validate_json(text)
    except FileNotFoundError as error:
        raise StoreError(f"{folder} is no export: it has no {DESCRIPTION}.", AGAIN) from error
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise StoreError(
            f"{folder / DESCRIPTION} is damaged or of another version ({reason}).", AGAIN
        ) from error
    return found
