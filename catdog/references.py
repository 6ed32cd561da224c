"""Which model a name means: one of ours, of an installed package, or a function of the user's own.

A model of the user's own is a function in a file (`my_models.py:small_resnet`) or in a module
(`package.module:function`). Here its code is found, read and parsed, but never run: that is for the
process that builds the model.
"""

import ast
import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import EntryPoint, distribution, entry_points, packages_distributions
from importlib.util import find_spec
from pathlib import Path

from catdog.addresses import obstacle
from catdog.errors import SettingsError
from catdog.syntax import imports, parse

ENTRY_POINTS = "catdog.models"
"""The group in which a package names its models: each a function."""
SUFFIX = ".py"
NAME = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
"""Of a model: it becomes part of the names of files, and of the text of pages."""
PATTERN = rf"^([^,:\x00-\x1f]+:)?{NAME}$"
"""Of what names a model. Commas part several of them on the command line."""
FORMS = "FILE.py:FUNCTION or MODULE:FUNCTION"
FILE_MODULE = "__catdog_model__"
"""What the module of a file is called while it runs: the file itself may have any name."""
INSTALLED = "*.dist-info"
"""What lies where packages are installed, side by side although they have nothing in common."""


@dataclass(frozen=True)
class Source:
    """A module that was read."""

    file: Path
    text: str

    @property
    def is_package(self) -> bool:
        """Whether it is the `__init__.py` of a package."""
        return self.file.name == "__init__.py"

    @cached_property
    def tree(self) -> ast.Module:
        """What it means. Raises SettingsError when it is no Python."""
        try:
            return parse(self.text)
        except (SyntaxError, ValueError) as error:
            line = f"line {error.lineno}: " if isinstance(error, SyntaxError) else ""
            reason = error.msg if isinstance(error, SyntaxError) else error
            raise SettingsError(
                f"{self.file} cannot be read as Python ({line}{reason}).", "Mend it."
            ) from error


@dataclass(frozen=True)
class Code:
    """The function that makes a model, and all modules that its key covers."""

    name: str
    """Of the model."""
    origin: str
    """Where it comes from, as one would say it."""
    function: str
    module: str
    """The one that has the function."""
    modules: Mapping[str, Source]
    """This one and all next to it, or in its package, that it imports, by name."""

    @property
    def file(self) -> Path:
        """The one that has the function."""
        return self.modules[self.module].file

    @property
    def meaning(self) -> dict[str, str]:
        """What decides the models that it makes, as a JSON value: the syntax trees."""
        return {name: ast.dump(source.tree) for name, source in self.modules.items()}


def name_of(reference: str) -> str:
    """The name of a model in records and reports."""
    return reference.rpartition(":")[2]


def absolute(reference: str, folder: Path | None = None) -> str:
    """The same with the whole path of its file. folder: the one that it is relative to.

    Raises SettingsError for the home of an unknown user.
    """
    place, _, function = reference.rpartition(":")
    if not place.endswith(SUFFIX):
        return reference
    try:
        return f"{(folder or Path.cwd()) / Path(place).expanduser()}:{function}"
    except RuntimeError as error:
        raise SettingsError(f"models: {place} names a user whom nobody knows here.") from error


def plugins() -> dict[str, list[EntryPoint]]:
    """The models of installed packages by their names, of which each should have one."""
    found: dict[str, list[EntryPoint]] = {}
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        found.setdefault(point.name, []).append(point)
    return found


def distribution_of(point: EntryPoint) -> str:
    """The package that brings a model, with its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"


def find_code(reference: str) -> Code:
    """The code that a reference means; none of it is run.

    reference: without a colon, the name of a model of an installed package.
    Raises SettingsError when there is no such file, module or function, or it is no Python.
    """
    place, _, function = reference.rpartition(":")
    if ":" not in reference:
        return _of_plugin(reference)
    if place.endswith(SUFFIX):
        return _of_file(Path(absolute(reference).rpartition(":")[0]), function)
    return _of_module(place, function)


def require_allowed(reference: str, folders: Iterable[Path], *, never: Iterable[Path]) -> None:
    """Refuse code that nobody with a say on this machine has installed or allowed.

    For a run that was asked for from elsewhere.
    folders: those whose code it may run. never: but not that in these. Raises SettingsError.
    """
    if ":" not in reference:  # a model of ours, or of an installed package
        return
    for module, source in find_code(reference).modules.items():
        file = source.file.resolve()
        if _is_installed(module, file) or (_is_in(folders, file) and not _is_in(never, file)):
            continue
        raise SettingsError(
            f"models: {source.file} is neither installed nor allowed here, and so not run for "
            f"others (got '{reference}').",
            "Install the package that has it, or name its folder in CATDOG_MODEL_PATHS where the "
            "run starts.",
        )


def _is_in(folders: Iterable[Path], file: Path) -> bool:
    return any(file.is_relative_to(folder.resolve()) for folder in folders)


def _is_installed(module: str, file: Path) -> bool:
    names = packages_distributions().get(module.partition(".")[0], ())
    return _is_in((Path(str(distribution(name).locate_file(""))) for name in names), file)


def _of_plugin(name: str) -> Code:
    points = plugins()[name]
    if len({point.value for point in points}) > 1:
        several = " and ".join(map(distribution_of, points))
        raise SettingsError(
            f"{several} each have a model '{name}'.",
            f"Name the function that you mean: {' or '.join(point.value for point in points)}.",
        )
    point = points[0]
    return _of_module(point.module, point.attr, name, distribution_of(point))


def _of_file(file: Path, function: str) -> Code:
    if obstacle(file) or not file.is_file():
        raise SettingsError(f"There is no file {file}.", f"Name a model as {FORMS}.")
    neighbours = _Neighbours(file.parent)
    source = _read(file)
    if any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(source.tree)):
        raise SettingsError(
            f"{file} imports from the package around it.",
            f"Name its module in place of its file: MODULE:{function}.",
        )
    modules = {FILE_MODULE: source} | neighbours.imported_by({FILE_MODULE: source})
    return _checked(Code(function, f"{file.name}:{function}", function, FILE_MODULE, modules))


def _of_module(module: str, function: str, name: str = "", origin: str = "") -> Code:
    top = module.partition(".")[0]
    neighbours = _Neighbours(_folder_of(top, module), top)
    modules = neighbours.imported_by({}, module)
    if module not in modules:
        raise SettingsError(*_no_module(module))
    where = f"{module}:{function}"
    return _checked(Code(name or function, origin or where, function, module, modules))


def _no_module(module: str) -> tuple[str, str]:
    return (
        f"There is no module '{module}' with Python source here.",
        "Install its package, add its folder to PYTHONPATH, or name the file: FILE.py:FUNCTION.",
    )


def _folder_of(top: str, module: str) -> Path:
    """The folder that holds an outermost module or package, which is not imported."""
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        spec = None
    places = [*(spec.submodule_search_locations or ()), spec.origin or ""] if spec else [""]
    if not Path(places[0]).is_absolute():
        raise SettingsError(*_no_module(module))
    return Path(places[0]).parent


def _checked(code: Code) -> Code:
    """The same, if it has its function. Raises SettingsError with what there is instead."""
    bound = set(_bound(code.modules[code.module].tree.body))
    if code.function in bound or "*" in bound:
        return code
    near = difflib.get_close_matches(code.function, bound, n=1)
    raise SettingsError(
        f"{code.file} has no function '{code.function}' at its top level.",
        f"Did you mean {near[0]}?" if near else "Define it there: def NAME(classes, image_size).",
    )


def _bound(body: list[ast.stmt]) -> Iterator[str]:
    """The names that statements bind, without those of names with dots and of loops."""
    for node in body:
        match node:
            case ast.FunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Import() | ast.ImportFrom():
                yield from (alias.asname or alias.name for alias in node.names)
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.If() | ast.Try():
                yield from _bound([*node.body, *node.orelse])


@dataclass(frozen=True)
class _Neighbours:
    """The modules in a folder: those that may be imported next to each other."""

    folder: Path
    top: str = ""
    """In a folder of libraries, the only one that belongs together."""

    @cached_property
    def _of_libraries(self) -> bool:
        return next(self.folder.glob(INSTALLED), None) is not None

    def imported_by(self, first: Mapping[str, Source], *names: str) -> dict[str, Source]:
        """The modules here that some modules import, directly or not, and those of these names."""
        found: dict[str, Source] = {}
        waiting = {*names, *(name for each in first.items() for name in self._imports(*each))}
        while waiting:
            name = waiting.pop()
            file = None if name in found else self._file(name)
            if file:
                found[name] = _read(file)
                waiting |= self._imports(name, found[name])
        return found

    def _imports(self, name: str, source: Source) -> set[str]:
        """What a module imports, with the packages around it, whose code Python runs first."""
        package = name if source.is_package else name.rpartition(".")[0]
        named = {name}
        for module, part in imports(source.tree, package):
            named |= {module, f"{module}.{part}"} if part else {module}
        parts = (each.split(".") for each in named)
        return {".".join(each[:length]) for each in parts for length in range(1, len(each) + 1)}

    def _file(self, name: str) -> Path | None:
        top = name.partition(".")[0]
        foreign = top in sys.stdlib_module_names or (self._of_libraries and top != self.top)
        if foreign or not re.fullmatch(r"\w+(\.\w+)*", name):
            return None
        place = self.folder.joinpath(*name.split("."))
        files = (place / "__init__.py", place.with_name(f"{place.name}{SUFFIX}"))
        return next((file for file in files if file.is_file()), None)


def _read(file: Path) -> Source:
    """A file, which is read and parsed once for as long as it stays the same."""
    try:
        status = file.stat()
        return _read_version(file, status.st_size, status.st_mtime_ns, status.st_ino)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"{file} cannot be read ({reason}).", "Mend it.") from error


@lru_cache(maxsize=1000)
def _read_version(file: Path, size: int, mtime_ns: int, inode: int) -> Source:
    return Source(file, file.read_text(encoding="utf-8"))
