"""What Python source means and what it imports: read from its syntax tree, never by running it."""

import ast
from collections.abc import Iterator
from threading import Lock

# CPython counts the depth of all threads' syntax trees in one place, so that two that parse at
# once fail with SystemError: https://github.com/python/cpython/issues/106905
_PARSING = Lock()


def parse(source: str) -> ast.Module:
    """The syntax tree of a module's source, without what does nothing when it runs.

    Comments and layout are not in it, nor strings that stand as statements, such as docstrings,
    nor what only a type checker sees. Raises SyntaxError, and ValueError for a null byte.
    """
    with _PARSING:
        tree = ast.parse(source)
    dropped: ast.Module = _DropIdle().visit(tree)
    return dropped


def imports(tree: ast.Module, package: str = "") -> Iterator[tuple[str, str | None]]:
    """What a module imports: (module, None), or (module, name) for `from module import name`.

    package: the one around the module, to which relative imports refer.
    """
    for node in ast.walk(tree):
        yield from _imports(node, package)


def _imports(node: ast.AST, package: str) -> Iterator[tuple[str, str | None]]:
    match node:
        case ast.Import():
            for alias in node.names:
                yield alias.name, None
                if not alias.asname:  # it is the name of the outermost package that is bound
                    yield alias.name.split(".")[0], None
        case ast.ImportFrom():
            yield from ((_absolute(node, package), alias.name) for alias in node.names)
        case ast.Call(
            func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            yield name, None


def _absolute(node: ast.ImportFrom, package: str) -> str:
    parts = package.split(".")
    above = parts[: len(parts) - node.level + 1] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])


class _DropIdle(ast.NodeTransformer):
    """Takes away strings that stand as statements, and code for type checkers: they do nothing."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        alone = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if alone else node

    def visit_If(self, node: ast.If) -> ast.AST:
        match node.test:
            case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
                node.body = []
        return self.generic_visit(node)
