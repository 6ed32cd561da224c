"""Every setting of catdog, its default and its reason, in one typed home.

A value comes from a keyword (a command-line flag or a flow parameter), else from where
`catdog/configuration.py` looks, else from the default here. Settings that belong together are a
group, which is passed whole to what it decides, and into its key.
"""

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from platformdirs import user_data_path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from catdog.addresses import BUCKET, obstacle, without_secrets
from catdog.backbones import BACKBONES, DEFAULT_BACKBONE
from catdog.configuration import FILE, absolute_path, as_list, given_values
from catdog.errors import SettingsError
from catdog.metric import ACCURACY, AVERAGES
from catdog.metric import FORMS as METRICS
from catdog.metric import PATTERN as METRIC
from catdog.models import DEFAULT, MODELS, choices, is_known
from catdog.references import FORMS, PATTERN, name_of, require_allowed
from catdog.wording import quoted

FOLDER = "folder"
"""The value of `group_by` for the photos of one folder."""
ALL = "all"
"""In place of the names of all models."""


def _well_formed(reference: str) -> str:
    if not re.fullmatch(PATTERN, reference):
        raise ValueError(f"unknown model '{quoted(reference)}'; {choices()}")
    return reference


def _distinct(models: tuple[str, ...]) -> tuple[str, ...]:
    """The same without repetitions: results are told apart by the models' names alone."""
    found: dict[str, str] = {name: name for name in (*MODELS, ALL)}
    for model in dict.fromkeys(models):
        other = found.setdefault(name_of(model), model)
        if other != model:
            raise ValueError(f"'{other}' and '{model}' have the same name: rename your function")
    return tuple(dict.fromkeys(models))


def _backbone(name: str) -> str:
    if name not in BACKBONES:
        raise ValueError(f"unknown backbone '{name}'; choose from {', '.join(BACKBONES)}")
    return name


def _metric(name: str) -> str:
    if not re.fullmatch(METRIC, name):
        raise ValueError(f"unknown metric '{quoted(name)}'; choose from {METRICS}")
    return name


def _as_models(value: Any) -> Any:
    names = as_list(value)
    if not isinstance(names, list | tuple):
        return names
    return [each for name in names for each in (MODELS if name == ALL else (name,))]


def _not_empty(path: Any) -> Any:
    if path == "":
        raise ValueError("is empty: name a folder, or leave it out")
    return path


def _grouping(how: str | None) -> str | None:
    if how and how != FOLDER:
        try:
            re.compile(how)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"is neither '{FOLDER}' nor a regular expression ({error})") from error
    return how or None


def _as_share(value: Any) -> Any:
    """A share, also as a percentage."""
    if isinstance(value, str) and value.strip().endswith("%"):
        return float(value.strip()[:-1]) / 100
    return value


def _named_task(name: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError("must be letters, digits, '_', '-' and '.', and not begin with a mark")
    if problem := obstacle(Path(name)):
        raise ValueError(problem)
    return name


ModelName = Annotated[
    str,
    AfterValidator(_well_formed),
    Field(json_schema_extra={"anyOf": [{"enum": list(MODELS)}, {"pattern": PATTERN}]}),
]
"""What a package names, or a user's file has, only the machine knows on which it is installed."""
ExportFormat = Literal["litert", "saved-model", "onnx", "keras"]
Share = Annotated[float, Field(ge=0, le=1)]
ProperShare = Annotated[float, Field(gt=0, lt=1)]
"""Neither nothing nor all."""
SECTIONS = ("Photos", "Models", "Training", "Comparison", "Promotion", "Running")
"""What settings decide, in the order in which a run does: so help and run form show them."""


class Group(BaseModel):
    """Settings that are passed on together."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, defer_build=True)

    HELP: ClassVar[str] = "catdog run --help"
    """What tells a user of these settings."""
    SECTION: ClassVar[str] = SECTIONS[-1]
    """Below which help and run form show them."""

    @classmethod
    def of(cls, values: Mapping[str, Any], origins: Mapping[str, str] = {}) -> Self:
        """Settings from these values and the defaults alone.

        origins: what set a value, where that is not the caller. Raises SettingsError that says
        in one line what is wrong with each.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = (_problem(dict(item), origins) for item in error.errors())
            raise SettingsError(f"{'; '.join(problems)}.", f"See '{cls.HELP}'.") from error

    @classmethod
    def section_of(cls, name: str) -> str:
        """The section of the group that has this setting."""
        kinds = (kind for kind in cls.__mro__ if issubclass(kind, Group))
        return next(kind.SECTION for kind in kinds if name in kind.__annotations__)


G = TypeVar("G", bound=Group)


class Origin(Group):
    """Where the photos come from."""

    SECTION = "Photos"

    source: str = Field(
        "official",
        min_length=1,
        description="Photos: 'official', 'sample', a folder, an archive, or the URL of one "
        "(http, https, s3, gs, az, hf).",
    )


class Subject(Group):
    """What is compared."""

    SECTION = "Models"

    models: Annotated[
        tuple[ModelName, ...],
        BeforeValidator(_as_models),
        AfterValidator(_distinct),
    ] = Field(
        DEFAULT,
        min_length=1,
        description=f"The models to train and compare, or 'all' of catdog's; your own as {FORMS}.",
    )
    repeats: int = Field(
        1, ge=1, le=100, description="Train each model with this many seeds, from `seed` on."
    )
    backbone: Annotated[
        str, AfterValidator(_backbone), Field(json_schema_extra={"enum": list(BACKBONES)})
    ] = Field(
        DEFAULT_BACKBONE,
        description="The pretrained network that 'transfer' and 'finetuned' stand on.",
    )
    weights: str = Field(
        "auto",
        min_length=1,
        description="Its ImageNet weights: 'auto', 'official', 'embedded' (mobilenetv2 alone), "
        "'random' or a file.",
    )


class Seeded(Group):
    """What draws random numbers."""

    SECTION = "Training"

    seed: int = Field(
        42,
        ge=0,
        lt=2**31,
        description="Fixes the split, the order of photos and the first weights.",
    )
    """One with which `baseline` learns. Fed raw 0-255 pixels, as in the notebook, its rectifiers
    often die in the first steps, and it predicts one class for good: see `benchmarks/README.md`."""


class Measured(Group):
    """What models are chosen and judged by."""

    SECTION = "Comparison"

    metric: Annotated[
        str,
        AfterValidator(_metric),
        Field(
            json_schema_extra={
                "anyOf": [
                    {"title": "of all classes", "enum": [ACCURACY, *AVERAGES]},
                    {"title": "recall of one", "pattern": METRIC},
                ]
            }
        ),
    ] = Field(
        ACCURACY,
        description="What selects the epoch, ranks the models, is tested, and decides on the "
        f"champion: {METRICS}.",
    )
    """As the notebook, and what everybody knows. Where a class is rare, it hardly counts."""


class Training(Seeded, Measured):
    """How a model is trained."""

    SECTION = "Training"

    epochs: int = Field(20, ge=1, le=10_000, description="Passes over the training photos.")
    """As the notebook: the published accuracies are those after 20."""
    batch_size: int = Field(32, ge=1, le=4096, description="Photos a training step.")
    """As the notebook: 63 steps an epoch on 2,000 photos."""
    patience: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Early stopping: end a training, or a phase of it, after so many epochs that "
        "were not better on validation. 0: never.",
    )
    """Never: the published accuracies are those after 20 epochs."""
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Of the first phase; later phases keep their proportion to it. Default: as "
        "each model declares it, 0.001 for catdog's.",
    )
    """What suits a model is declared with it. Adam's steps are about as long as its rate: above 1
    no weight would stay what it was."""
    schedule: Literal["declared", "constant", "cosine"] = Field(
        "declared",
        description="Of the learning rate over each phase: 'constant', 'cosine' (down to zero), or "
        "as each model declares it.",
    )
    """The notebook's are constant; fine-tuning, which may spoil weights, has a declared cosine."""
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="The share of each training label that is spread evenly over all classes.",
    )
    """None, as in the notebook; 0.1 is usual (Szegedy et al. 2016, arXiv:1512.00567)."""
    class_weights: Literal["none", "balanced"] = Field(
        "none",
        description="'balanced': in the training loss all classes weigh the same, whatever their "
        "number of photos.",
    )
    """None: the official classes have the same number, and weights distort probabilities."""
    augmentation: Literal["declared", "none", "standard", "stronger"] = Field(
        "declared",
        description="Of the training photos: 'none', 'standard' (flip, rotation), 'stronger' (also "
        "zoom, shift, brightness, contrast), or as each model declares it.",
    )
    """The notebook compares models with and without it."""
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="In which training computes; 'bfloat16' is faster where the hardware has it. "
        "Weights and scores stay float32.",
    )
    """That of the published results, and what every machine has."""

    @staticmethod
    def changes(values: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Value and default of each of these that is another than in the published protocol.

        values: of a run or a training, perhaps of an earlier version or with other settings. The
        seed is left out: each training of a run has another one.
        """
        defaults = {n: f.default for n, f in Training.model_fields.items() if n != "seed"}
        found = {name: (values.get(name, of), of) for name, of in defaults.items()}
        return {name: both for name, both in found.items() if both[0] != both[1]}

    def without(self, *names: str) -> Self:
        """The same with the defaults for these."""
        defaults = {name: type(self).model_fields[name].default for name in names}
        return self.model_copy(update=defaults)


class Decoding(Group):
    """How photos become arrays."""

    SECTION = "Photos"

    image_size: int = Field(
        160, ge=32, le=1024, description="Photos are resized to a square of so many pixels."
    )
    """As the notebook, and a size that MobileNetV2 was published for."""


class Cut(Seeded):
    """How photos are divided into training, validation and test."""

    SECTION = "Photos"

    validation_share: ProperShare = Field(
        1 / 3, description="About so many are held out where the source has no validation folder."
    )
    """As in the official archive: 1,000 of 3,000."""
    test_share: ProperShare = Field(
        0.192, description="Of the held-out photos, about so many are kept for the final test."
    )
    """As the notebook: 192 of 1,000."""
    duplicates: Literal["drop", "keep"] = Field(
        "drop",
        description="'drop' removes duplicates of held-out photos from training; 'keep' reports.",
    )
    """A test photo that was trained on would flatter the score."""
    group_by: Annotated[str | None, AfterValidator(_grouping)] = Field(
        None,
        description="Photos that belong together stay in one split: 'folder', those of one folder; "
        "or a regular expression, those with the same match (or first group) in their path. A "
        "column 'group' of metadata.csv counts as well.",
    )
    """What belongs together only its owner knows: a patient, a product, an animal."""
    rare_classes: Literal["refuse", "drop"] = Field(
        "refuse",
        description="Classes with too few photos for each split or fold: 'refuse' names them, "
        "'drop' leaves them out.",
    )
    """A class that is missing is a surprise, unless it was asked for."""


class Folding(Seeded):
    """Whether, and how, photos are divided into folds for cross-validation."""

    SECTION = "Photos"

    folds: int | None = Field(
        None,
        ge=3,
        le=20,
        description="Cross-validation: divide all photos into so many folds, and test each by "
        "models that were trained without it. Default: one test set.",
    )
    """Three at least: one to test on, one to select the epoch on, one to train on."""


class Comparing(Measured):
    """How the models are compared."""

    SECTION = "Comparison"

    equivalence_margin: ProperShare = Field(
        0.02,
        description="Models are equivalent when their accuracies differ by less than this share.",
    )
    """Two points: less than the same code gave its author on a second day (up to 4.5 points in the
    published results), and no model could be shown to be within one point on 192 photos."""


class Running(Group):
    """How a run works, and how fast; no result depends on it."""

    parallel: int | None = Field(
        None, ge=1, le=256, description="Models trained at a time. Default: one a core."
    )
    runner: Literal["process", "dask"] = Field(
        "process",
        description="Train in processes of this machine, or on the workers of a Dask cluster.",
    )
    dask_address: str | None = Field(
        None,
        pattern=r"^(tcp|tls)://[^/]+:\d+$",
        description="Dask's scheduler, tcp://HOST:PORT. Default: a cluster on this machine.",
    )
    force: bool = Field(
        False, description="Train the models again although nothing they depend on has changed."
    )
    tensorboard: bool = Field(
        False,
        description="Write learning curves and results as event files: "
        "tensorboard --logdir HOME/tensorboard.",
    )
    mlflow: str | None = Field(
        None,
        pattern=r"^https?://[^/\s]+",
        description="Log parameters, learning curves, results, report and models to this MLflow "
        "server, http(s)://[USER:PASSWORD@]HOST:PORT. Default: to none.",
    )


class Promotion(Measured):
    """What becomes of a run's winner."""

    SECTION = "Promotion"

    promote: bool = Field(
        True, description="Let the best model challenge the champion that 'predict' uses."
    )
    promotion: Literal["better", "fresh"] = Field(
        "better",
        description="'better': promoted when significantly better; 'fresh': also when trained on "
        "enough new photos and not worse by accuracy_margin or more.",
    )
    """Who tries another model or setting must show that it is better. What retrains the same on
    newer photos, as `full` does each week, has a reason to be used already, and few test photos
    could ever show that it is better than a good champion."""
    accuracy_margin: ProperShare = Field(
        0.03, description="With 'fresh', the accuracy may be lower by less than this share."
    )
    """Six of 192 test photos: the smallest that so many can show, most of the time, of a model that
    is as good as one with 97 %."""
    class_margin: Share = Field(
        0.05,
        description="The recall of a class may be lower for a new champion by at most this share.",
    )
    """Four of 96 test photos; a difference of fewer than six is never significant."""


class Placing(Group):
    """Which of the home's champions is meant: each task has its own."""

    SECTION = "Promotion"

    task: Annotated[str, AfterValidator(_named_task)] | None = Field(
        None,
        description="The task whose champion is challenged; 'default' is the first one's. Default: "
        "the one whose champion knows these classes, or a new one named after the source.",
    )
    """Classes tell which question a model answers. With one champion for all of them a second data
    set's winner would have no place, and a name that is to be given each time is forgotten."""


class Answering(Group):
    """How predictions of new photos are shown; no run depends on it."""

    threshold: Share = Field(
        0.8, description="A prediction of a lower confidence is flagged as uncertain."
    )
    """On the official validation photos 2.5 % of `transfer`'s are, of which a quarter are wrong."""
    risk: Annotated[ProperShare, BeforeValidator(_as_share)] | None = Field(
        None,
        description="Answer only where at most this share of the answers is wrong, such as 1%, at "
        "95 % confidence, and where the photo is not unlike all training photos. Default: answer "
        "all.",
    )
    """What a wrong answer costs only its owner knows."""
    false_flags: Annotated[Share, BeforeValidator(_as_share)] = Field(
        0.01,
        description="With a risk, the share of ordinary photos that may be taken for unlike "
        "anything seen, such as 1%; 0 looks for none.",
    )
    """So few cost hardly an answer, and letters and textures are all found."""


class Allowing(Group):
    """What code may run here; set where the runs start, never by who asks for one."""

    model_paths: Annotated[
        tuple[Annotated[Path, BeforeValidator(_not_empty), AfterValidator(absolute_path)], ...],
        BeforeValidator(as_list),
    ] = Field(
        (),
        description="Folders whose code the runs of deployments, and capsules, may use as models, "
        "besides that of installed packages.",
    )
    """None: who may start a run may not thereby run any file of the worker. `catdog run` and the
    functions for Python are not bound by it: they are called on this machine, as its user."""
    dask_cluster: str | None = Field(
        None,
        pattern=r"^\w+(\.\w+)+$",
        description="With the runner 'dask' and no address, the class of a cluster that lives as "
        "long as a run, such as dask_jobqueue.SLURMCluster. Default: one on this machine.",
    )


class Limits(Group):
    """What one request of `catdog api` may ask for; beyond, it is refused with the reason.

    Flags of that command alone: they belong to the place where it listens.
    """

    HELP = "catdog api --help"
    SECTION = "Limits"

    max_mebibytes: int = Field(32, ge=1, le=1024, description="Of a request's body.")
    """Two or three large photos of a phone, or a hundred small ones."""
    max_megapixels: int = Field(64, ge=1, le=89, description="Of a photo, to be read.")
    """Above the 50 of phones. So large a one takes 0.8 GB while it is read, a WebP 1.5."""
    max_photos: int = Field(64, ge=1, le=1000, description="In one request.")
    """A third of a second of two cores."""
    max_waiting: int = Field(
        64, ge=1, le=10_000, description="Requests at a time; further ones are told to come again."
    )
    """Bounds the memory, by max_mebibytes for each, and the wait, to half a second for one photo
    each."""
    body_seconds: float = Field(
        30, gt=0, le=3600, description="For a request's body to arrive, in seconds."
    )
    """32 MiB in this time is a line of 9 Mbit/s."""
    log_mebibytes: int = Field(
        64, ge=1, le=10_000, description="Of the prediction log, before it is rotated; 4 are kept."
    )
    """About 200,000 predictions a file."""

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Limits from keywords and defaults; None means not given. Raises SettingsError."""
        return cls.of({name: value for name, value in given.items() if value is not None})


NOT_OF_A_RUN = {"home", "remote", *Answering.model_fields, *Allowing.model_fields}
"""What a flow run is not told: a worker has its own place."""
ADDRESSES = {"source", "mlflow"}
"""Settings that may let their owner in: shown and kept by `without_secrets` alone."""
ASKED = (Origin, Subject, Training, Decoding, Cut, Folding, Comparing)
"""The groups that decide the results."""


# pydantic gives the fields of the last base first.
class Settings(
    Allowing,
    Answering,
    Placing,
    Promotion,
    Running,
    Comparing,
    Folding,
    Cut,
    Decoding,
    Training,
    Subject,
    Origin,
):
    """What one run does, and where."""

    SECTION = SECTIONS[-1]

    home: Annotated[Path, BeforeValidator(_not_empty), AfterValidator(absolute_path)] = Field(
        default_factory=lambda: user_data_path("catdog", appauthor=False),
        description="The folder that keeps all artifacts.",
    )
    remote: str | None = Field(
        None,
        pattern=f"^{BUCKET}$",
        description="A folder in a bucket that homes share, s3://BUCKET/FOLDER (or gs, az): what "
        "one has made, the others find. Default: none.",
    )

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Settings from keywords, environment, file and defaults; None means not given.

        An address that is given as it is shown, without what lets its owner in, is completed from
        its variable, such as `CATDOG_SOURCE`: so that a schedule can use one that Prefect never
        sees whole.

        Raises SettingsError for an unknown or wrong name or value, in one line with the choices.
        """
        _refuse_remote(given.get("remote"))
        known = cls.model_fields
        found, standing = given_values(given, known), given_values({}, known)
        for name in ADDRESSES & found.keys() & standing.keys():
            if without_secrets(str(standing[name].value)) == found[name].value:
                found[name] = standing[name]
        origins = {name: each.origin for name, each in found.items()}
        settings = cls.of({name: each.value for name, each in found.items()}, origins)
        _require_models(settings.models)
        if settings.folds and settings.repeats > 1:
            raise SettingsError(
                f"folds: not together with repeats (got {settings.folds} and {settings.repeats}).",
                "Leave one away: each fold is trained with a seed of its own already.",
            )
        if given.get("dask_address") and settings.runner != "dask":
            raise SettingsError(
                f"dask_address: not used by the runner '{settings.runner}' "
                f"(got {settings.dask_address!r}).",
                "Add --runner dask, or leave the address away.",
            )
        return settings

    def require_allowed_code(self) -> None:
        """Refuse models whose code nobody has installed or allowed here. Raises SettingsError.

        For a run that was not asked for by this machine's user, or whose settings were not. What
        came with a source is never allowed.
        """
        for model in self.models:
            came_with_sources = (self.home / "store", self.home / "work")
            require_allowed(model, self.model_paths, never=came_with_sources)

    @property
    def trainings(self) -> int:
        """How often each model is trained."""
        return self.folds or self.repeats

    def group(self, kind: type[G]) -> G:
        """The settings of one group."""
        return kind.model_validate(self.model_dump(include=set(kind.model_fields)))

    def addresses(self) -> dict[str, str]:
        """The addresses that are set, by name, whole."""
        return {name: each for name in ADDRESSES if (each := getattr(self, name))}

    def asked(self) -> dict[str, Any]:
        """What decides the results, as JSON values.

        Secrets in the source's address are left out: this is written down. A task is in it where
        one is named: it decides no result, but tells what the run is for.
        """
        names = {name for group in ASKED for name in group.model_fields}
        names |= {"task"} if self.task else set()
        asked = self.model_dump(mode="json", include=names)
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


def schema() -> dict[str, Any]:
    """The JSON schema of a configuration file, for editors."""
    made = Settings.model_json_schema()
    made["properties"]["home"].pop("default", None)  # it differs from user to user
    return made | {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": FILE}


def _refuse_remote(given: Any) -> None:
    if given is not None:
        raise SettingsError(
            "remote: no keyword, since all processes of this machine look for it.",
            f"Set CATDOG_REMOTE, or remote in {FILE}.",
        )


def _require_models(models: Iterable[str]) -> None:
    """Refuse a name that is neither ours nor a package's; where code is is for a run to look at."""
    for name in models:
        if not is_known(name):
            raise SettingsError(
                f"models: unknown model '{name}'; {choices()}.", f"See '{Settings.HELP}'."
            )


def _problem(item: Mapping[str, Any], origins: Mapping[str, str]) -> str:
    name = "".join(map(str, item["loc"][:1]))
    origin = f", from {origins[name]}" if origins.get(name) else ""
    text = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
    plain = text[:1].lower() + text[1:]
    given = item["input"]
    if name in ADDRESSES and isinstance(given, str):
        given = without_secrets(given)
    return f"{name or 'settings'}: {plain} (got {quoted(repr(given))}{origin})"
