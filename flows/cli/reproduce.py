"""The command `catdog reproduce`: train a run again, and say whether the same came out."""

from pathlib import Path

from catdog.errors import SettingsError, StoreError
from catdog.history.capsule import Capsule, capsule_of, read_capsule
from catdog.history.reproduction import Reproduction, differences, reproduction
from catdog.history.runs import code, load_run, runs_folder
from catdog.machine import computer, packages
from catdog.models import model_spec
from catdog.settings import Cut, Settings
from catdog.store.files import write_where_named, writing
from catdog.store.store import Store
from catdog.wording import counted, escaped, listing
from flows.cli.run import run_and_print
from flows.cli.terminal import out, say, share, table

FOLDER = "reproduced"
"""Below a home: the homes in which its runs were trained again."""


def reproduce(
    run: str = "latest",
    /,
    *,
    to: Path | None = None,
    source: str | None = None,
    weights: str | None = None,
    home: Path | None = None,
) -> int:
    """Train a past run again, here or elsewhere, and compare the predictions.

    Exits with 0 when they are the same, to the byte or within what another machine explains.

    Parameters
    ----------
    run
        A run of 'catdog runs', or 'latest', or the capsule of a run of another machine.
    to
        Write the run's capsule to this file instead: settings, digests, predictions. No photos.
    source
        Where the photos are here. [default: where they were]
    weights
        Where the ImageNet weights are here. [default: where they were]
    home
        The home in which it is trained. [default: reproduced/RUN, in the usual one]
    """
    usual = Settings.load().home
    capsule = _capsule(run, Store(usual))
    if to:
        return _write(capsule, to)
    settings = _settings(capsule, home or usual / FOLDER / capsule.run, source, weights)
    if Path(run).is_file():  # a capsule, which may come from anywhere, names no code to be run
        settings.require_allowed_code()
    share(settings)
    _tell(capsule, settings.home)
    _require_same_input(capsule, settings)
    again, _ = run_and_print(settings, out)
    return _judge(reproduction(capsule, capsule_of(again)))


def _capsule(name: str, store: Store) -> Capsule:
    file = Path(name)
    return read_capsule(file) if file.is_file() else capsule_of(load_run(name, store))


def _write(capsule: Capsule, file: Path) -> int:
    text = capsule.model_dump_json(indent=1) + "\n"
    with writing(file.parent):
        write_where_named(file, text)
    say(f"{file} is the capsule of run {capsule.run}. Elsewhere: catdog reproduce {file.name}")
    return 0


def _settings(capsule: Capsule, home: Path, source: str | None, weights: str | None) -> Settings:
    """The settings of the run, for this home.

    Raises SettingsError where a variable or a file sets what the run left as it is by default.
    """
    if weights is None and capsule.settings.get("weights") == "auto":
        weights = capsule.weights.get("source")
    asked = capsule.asked(source=source, weights=weights)
    named = asked.model_dump(include=set(asked.asked()))
    settings = Settings.load(**named, promote=False, force=False, home=home)
    for name, value in named.items():
        if name != "source" and getattr(settings, name) != value:
            raise SettingsError(
                f"{name} is {getattr(settings, name)} here, but was {value} in the run.",
                f"Take away CATDOG_{name.upper()}, or its line in catdog.toml.",
            )
    if (runs_folder(Store(settings.home)) / capsule.run).exists():
        raise SettingsError(
            f"home: {settings.home} is the run's own, where nothing would be trained again.",
            "Name another folder, or leave --home away.",
        )
    return settings


def _tell(capsule: Capsule, home: Path) -> None:
    """Say what is the same here as then, and what is not."""
    installed = packages()
    here = {"code": code()} | installed | {n: str(each) for n, each in computer().items()}
    then = {name: capsule.facts.get(name, "") for name in here}
    different = list(differences(then, here))
    say(f"Run {capsule.run} of {capsule.began:%Y-%m-%d %H:%M} UTC, trained again in {home}")
    same = [name for name in here if name not in {each.what for each in different}]
    others = [name for name in same if name not in installed]
    others += [counted(len(same) - len(others), "package")]
    say(f"The same as then: {listing(others)}.")
    if different:
        shown = table("different", "then", "now")
        for each in different:
            shown.add_row(*map(escaped, each))
        out.print(shown)


def _require_same_input(capsule: Capsule, settings: Settings) -> None:
    """Raise StoreError unless photos, split and weights are those of the run."""
    from catdog.photos import split
    from catdog.sources import download
    from catdog.training.weights import find_weights

    store = Store(settings.home)
    photos = store.obtain(download.recipe(settings.source, store=store))
    manifest = store.obtain(split.recipe(photos, settings.group(Cut)))
    found = {"photos": photos.inventory, "manifest": manifest.content}
    if any(model_spec(name).pretrained for name in settings.models):
        found["weights"] = find_weights(settings.weights, home=store.home).sha256
    then = capsule.digests | {"weights": capsule.weights.get("sha256", "")}
    if other := [name for name, digest in found.items() if then.get(name, "") != digest]:
        raise StoreError(
            f"Not the same as then: {listing(other)} ({counted(photos.count, 'photo')} here).",
            "Name the same photos with --source, and the same weights with --weights.",
        )
    say(f"The same as then, to the byte: {listing(found)} ({counted(photos.count, 'photo')}).")


def _judge(found: Reproduction) -> int:
    numbers = ("photos", "wrong then", "wrong now", "another class", "largest difference")
    shown = table("model", "training", numbers=numbers)
    for each in found.trainings:
        counts = (each.photos, each.wrong_then, each.wrong_now, each.other_class)
        most = f"{each.largest_difference:.1e}" if each.largest_difference else "0"
        shown.add_row(each.name, each.which, *(f"{count:,}" for count in counts), most)
    out.print(shown)
    say(found.sentence)
    return 0 if found.good else 1
