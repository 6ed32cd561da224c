"""Every setting of catdog, its default and its reason, in one typed home.

A value comes from a keyword (a command-line flag or a flow parameter), else from the environment
as `CATDOG_NAME` unless that is empty, else from the default here.
"""

import difflib
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from platformdirs import user_data_path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from catdog.addresses import without_secrets
from catdog.errors import SettingsError
from catdog.models import MODELS

PREFIX = "CATDOG_"
NOT_ASKED = {"home", "parallel", "runner", "dask_address", "promote", "class_margin", "force"}
"""Where a run works, how fast, and what becomes of its winner: no result depends on them."""


def _known(name: str) -> str:
    if name not in MODELS:
        raise ValueError(f"unknown model '{name}'; choose from {', '.join(MODELS)}")
    return name


def _as_list(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


# The types serve the command line, the flow's run form and this module alike.
Source = Annotated[
    str,
    Field(
        min_length=1,
        description="Photos: 'official', 'sample', a folder, an archive, or the URL of an archive.",
    ),
]
ModelName = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": list(MODELS)})]
Models = Annotated[
    tuple[ModelName, ...],
    BeforeValidator(_as_list),
    AfterValidator(_once),
    Field(min_length=1, description="The models to train and compare."),
]
Epochs = Annotated[int, Field(ge=1, le=10_000, description="Passes over the training photos.")]
Repeats = Annotated[
    int, Field(ge=1, le=100, description="Train each model with this many seeds, from `seed` on.")
]
Seed = Annotated[
    int,
    Field(
        ge=0, lt=2**31, description="Fixes the split, the order of photos and the first weights."
    ),
]
BatchSize = Annotated[int, Field(ge=1, le=4096, description="Photos a training step.")]
ImageSize = Annotated[
    int, Field(ge=32, le=1024, description="Photos are resized to a square of so many pixels.")
]
Share = Annotated[float, Field(gt=0, lt=1)]
ValidationShare = Annotated[
    Share, Field(description="Held out of each class where the source has no validation folder.")
]
TestShare = Annotated[
    Share, Field(description="Of the held-out photos, so many are kept for the final test.")
]
Duplicates = Annotated[
    Literal["drop", "keep"],
    Field(description="'drop' removes copies of held-out photos from training; 'keep' reports."),
]
WeightsChoice = Annotated[
    str,
    Field(
        min_length=1,
        description="ImageNet weights: 'auto', 'official', 'embedded', 'random' or a file.",
    ),
]
Parallel = Annotated[
    int | None,
    Field(ge=1, le=256, description="Models trained at a time. Default: one a core."),
]
Runner = Annotated[
    Literal["process", "dask"],
    Field(description="Train in processes of this machine, or on the workers of a Dask cluster."),
]
DaskAddress = Annotated[
    str | None,
    Field(
        pattern=r"^(tcp|tls)://[^/]+:\d+$",
        description="Dask's scheduler, tcp://HOST:PORT. Default: a cluster on this machine.",
    ),
]
Promote = Annotated[
    bool, Field(description="Let the best model challenge the champion that 'predict' uses.")
]
Force = Annotated[
    bool, Field(description="Train the models again although nothing they depend on has changed.")
]
ClassMargin = Annotated[
    float,
    Field(ge=0, le=1, description="A new champion may be worse on a class by at most this share."),
]
Home = Annotated[
    Path, AfterValidator(_absolute), Field(description="The folder that keeps all artifacts.")
]


class Settings(BaseModel):
    """What one run does, and where."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, defer_build=True)

    home: Home = Field(default_factory=lambda: user_data_path("catdog", appauthor=False))
    source: Source = "official"
    models: Models = tuple(MODELS)
    epochs: Epochs = 20
    """As the notebook: the published accuracies are those after 20."""
    seed: Seed = 42
    """One with which `baseline` learns. Fed raw 0-255 pixels, as in the notebook, its rectifiers
    often die in the first steps, and it stays at chance for good: see `benchmarks/README.md`."""
    repeats: Repeats = 1
    batch_size: BatchSize = 32
    """As the notebook: 63 steps an epoch on 2,000 photos."""
    image_size: ImageSize = 160
    """As the notebook, and a size that MobileNetV2 was published for."""
    validation_share: ValidationShare = 1 / 3
    """As in the official archive: 1,000 of 3,000."""
    test_share: TestShare = 0.192
    """As the notebook: 192 of 1,000."""
    duplicates: Duplicates = "drop"
    """A test photo that was trained on would flatter the score."""
    weights: WeightsChoice = "auto"
    parallel: Parallel = None
    runner: Runner = "process"
    dask_address: DaskAddress = None
    promote: Promote = True
    class_margin: ClassMargin = 0.05
    """Four of 96 test photos; one model must lead by six before that is more than chance."""
    force: Force = False

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Settings from keywords, the environment and the defaults; None means not given.

        Raises SettingsError for an unknown or wrong name or value, in one line with the choices.
        """
        values = _from_environment(os.environ) | {k: v for k, v in given.items() if v is not None}
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            raise SettingsError(_explain(error), "See 'catdog run --help'.") from error
        if given.get("dask_address") and settings.runner != "dask":
            raise SettingsError(
                f"dask_address: not used by the runner '{settings.runner}' "
                f"(got {settings.dask_address!r}).",
                "Add --runner dask, or leave the address away.",
            )
        return settings

    def asked(self) -> dict[str, Any]:
        """What decides the results, as JSON values.

        Secrets in the source's address are left out: this is written down.
        """
        asked = self.model_dump(mode="json", exclude=NOT_ASKED)
        return asked | {"source": without_secrets(self.source)}

    def described(self) -> dict[str, Any]:
        """What a report says of how to repeat it: the command, then every setting."""
        return {"command": self.command()} | self.asked()

    def command(self) -> str:
        """The command line that repeats this run, without what is as by default."""
        flags = [
            f"--{name.replace('_', '-')}{_flag(value)}"
            for name, value in self.asked().items()
            if getattr(self, name) != type(self).model_fields[name].default
        ]
        return " ".join(["catdog run", *flags])


def _flag(value: Any) -> str:
    text = ",".join(value) if isinstance(value, list) else str(value)
    separator = "=" if text.startswith("-") else " "  # else it would be read as the next flag
    return separator + shlex.quote(text)


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    found = {
        name.removeprefix(PREFIX).lower(): environ[name]
        for name in environ  # not all values: another thread may be taking one away
        if name.startswith(PREFIX) and environ[name]
    }
    for name in found.keys() - Settings.model_fields.keys():
        known = [PREFIX + field.upper() for field in Settings.model_fields]
        near = difflib.get_close_matches(PREFIX + name.upper(), known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Choose from {', '.join(known)}."
        raise SettingsError(f"Unknown environment variable {PREFIX}{name.upper()}.", hint)
    return found


def _explain(error: ValidationError) -> str:
    problems = (
        f"{'.'.join(str(part) for part in item['loc'][:1]) or 'settings'}: "
        f"{_plain(item['msg'])} (got {item['input']!r})"
        for item in error.errors()
    )
    return "; ".join(problems) + "."


def _plain(message: str) -> str:
    text = message.removeprefix("Value error, ").removeprefix("Input ")
    return text[:1].lower() + text[1:]
