"""Photos in object stores: s3://, gs://, az://, hf://datasets/, by what fsspec has for each.

An address is that of an archive or of a folder. Logins come from where the store's own tools take
them, such as environment variables; the package that reads a store is named when it is missing.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from shutil import disk_usage
from typing import Any

from catdog.addresses import obstacle
from catdog.errors import SourceError
from catdog.sources.fetch import WITHOUT_NETWORK, OnBytes, Remote, Stream, TryAgainError, Version
from catdog.sources.inventory import hidden
from catdog.store.digest import value_digest
from catdog.store.files import FULL
from catdog.wording import quoted

STORES = ("s3", "gs", "gcs", "az", "abfs", "abfss", "hf", "memory")
"""`memory` is fsspec's own, for tests. Others that fsspec knows, such as those that read an address
within another, are too many ways in for who may choose only the source of a run."""
BLOCK = 1 << 20
AT_ONCE = 64
"""Photos of a folder that are asked for together: stores answer slowly, but many at a time."""
LOGIN = (
    f"Check the login, which is taken from where the store's own tools take it. {WITHOUT_NETWORK}"
)


class CloudPath(Remote):
    """A file in an object store, or a folder of files.

    Raises SourceError at once where the address is none, or the package for it is missing.
    """

    looks = 1
    """Most stores' packages ask several times by themselves."""

    def __init__(self, url: str) -> None:
        import fsspec

        super().__init__(url)
        if url.partition("://")[0].lower() not in STORES or "::" in url:
            known = ", ".join(("http", "https", *STORES))
            raise SourceError(f"{self.shown} has not one of the schemes {known}.", "Check it.")
        try:
            self._store, path = fsspec.url_to_fs(url)
        except ImportError as error:
            needed = f"another package ({str(error).rstrip('.')})"
            raise SourceError(f"{self.shown} needs {needed}.", "Install it.") from error
        except Exception as error:  # each store has its own
            problem = f"{self.shown} cannot be opened ({self._told(error)})."
            raise SourceError(problem, "Check it.") from error
        self._path = path.rstrip("/")
        self._store.invalidate_cache()  # What this process was told of a folder before may be old.

    @contextmanager
    def open(self, start: int, validator: str) -> Iterator[Stream]:
        """The file from a byte on."""
        version, ask = self._look(), self._ask
        place = start if version.validator == validator else 0
        options = {"block_size": BLOCK, "cache_type": "readahead"}
        with ask(self._store.open, self._path, **options) as file:
            ask(file.seek, place)
            yield Stream(place, version, iter(partial(ask, file.read, BLOCK), b""))

    def is_folder(self) -> bool:
        """Whether it is a folder; also False where that cannot be told."""
        try:
            return bool(self._store.isdir(self._path))
        except Exception:  # noqa: BLE001  each store has its own; `look` asks again, and tells
            return False

    def list_folder(self) -> tuple[dict[str, int], str]:
        """The files of a folder, and a digest of all that the store tells of them.

        Files: bytes by the path below the folder (POSIX), hidden ones left out. The digest is
        another one when a file has changed. Raises as `look`, and SourceError for an unsafe name.
        """
        find = partial(self._ask, self._store.find, self._path, detail=True)
        found = self.persist(find, attempts=self.looks)
        facts = {PurePosixPath(name).relative_to(self._path): info for name, info in found.items()}
        folders = {parent for each in facts for parent in each.parents}
        facts = {each: f for each, f in facts.items() if f.get("size") or each not in folders}
        for each in facts:
            told = "has the name of a folder" if each in folders else _unstorable(each)
            if told:
                named = f"{self.shown}: its file '{quoted(each)}'"
                raise SourceError(f"{named} {told}.", "Rename it there.")
        seen = {each: f for each, f in sorted(facts.items()) if not any(map(hidden, each.parts))}
        files = {each.as_posix(): int(f.get("size") or 0) for each, f in seen.items()}
        return files, value_digest([(each.as_posix(), _facts(f)) for each, f in seen.items()])

    def fetch_folder(self, files: Mapping[str, int], folder: Path, *, on_bytes: OnBytes) -> None:
        """Download files of a folder; those that `folder` holds whole are not fetched again.

        files: as `list_folder` gives them.
        """
        missing = [name for name, size in files.items() if _bytes(folder / name) != size]
        total = sum(files.values())
        done = total - sum(files[name] for name in missing)
        if total - done > disk_usage(folder).free:
            raise self.too_large(f"has {total:,} bytes", folder)
        for start in range(0, len(missing), AT_ONCE):
            names = missing[start : start + AT_ONCE]
            self._fetch(names, folder)
            for name in names:
                if (size := _bytes(folder / name)) != files[name]:
                    raise SourceError(
                        f"{self.shown}: {name} has {size:,} bytes instead of {files[name]:,}.",
                        "It changed meanwhile: run again.",
                    )
                done += size
            on_bytes(done, total)

    def _fetch(self, names: list[str], folder: Path) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        there, here = [f"{self._path}/{name}" for name in names], [str(folder / n) for n in names]
        self.persist(partial(self._ask, self._store.get, there, here))

    def _look(self) -> Version:
        self._store.invalidate_cache()
        info = self._ask(self._store.info, self._path)
        return Version(value_digest(_facts(info)), None, info.get("size"))

    def _ask(self, ask: Callable[..., Any], *what: Any, **how: Any) -> Any:
        """What the store answers. Raises TryAgainError, and SourceError for good."""
        try:
            return ask(*what, **how)
        except FileNotFoundError as error:
            raise SourceError(f"{self.shown} is not there.", "Check the address.") from error
        except PermissionError as error:
            raise SourceError(
                f"{self.shown} may not be read ({self._told(error)}).",
                "Log in as the store's own tools do, such as by their environment variables.",
            ) from error
        except Exception as error:  # each store has its own
            if isinstance(error, OSError) and error.errno in FULL:
                raise  # of our own disk
            raise TryAgainError(self._told(error), remedy=LOGIN) from error

    def _told(self, error: Exception) -> str:
        """An error's first line, without what the address lets in."""
        line = next(iter(str(error).splitlines()), "") or type(error).__name__
        return quoted(line.replace(self.url, self.shown))


def _facts(info: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a store tells of a file, as text."""
    return sorted((key, str(value)) for key, value in info.items())


def _unstorable(name: PurePosixPath) -> str | None:
    """Why a file of a folder cannot be kept by its name; None when it can."""
    return "leads out of the folder" if ".." in name.parts else obstacle(Path(name))


def _bytes(file: Path) -> int:
    """Of a file; -1 where there is none."""
    return file.stat().st_size if file.is_file() else -1
