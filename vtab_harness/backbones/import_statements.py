"""The imports that stand in a source file, read from its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_BY_NAME = ("import_module", "__import__")
_BY_PATH = ("spec_from_file_location", "run_path", "run_module")


@dataclass(frozen=True, slots=True)
class Imports:
    """The imports of one file.

    Attributes:
        statements: (level, module, names), as ``from ..module import names`` has them.
        computed: Packages that imports with a computed name draw from; an empty one where nothing is known.
        exported: Strings in ``__all__``.
    """

    statements: tuple[tuple[int, str, tuple[str, ...]], ...] = ()
    computed: tuple[str, ...] = ()
    exported: tuple[str, ...] = ()


@lru_cache(maxsize=4096)
def read_imports(source: bytes) -> Imports:
    """Reads the imports of a source file, wherever in it they stand; none where its syntax is wrong."""
    try:
        nodes = list(_nodes(ast.parse(source), any(word.encode() in source for word in _BY_NAME + _BY_PATH)))
    # Whatever is wrong with it, importing it will say so.
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Imports()
    statements: list[tuple[int, str, tuple[str, ...]]] = []
    computed: dict[str, None] = {}
    exported: list[str] = []
    for node in nodes:
        if isinstance(node, ast.Import):
            statements += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            statements.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
        elif isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if node.value is not None and any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
                values = [part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant)]
                exported += [value for value in values if isinstance(value, str)]
        elif isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in _BY_PATH:
                computed[""] = None
            elif called in _BY_NAME:
                arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
                start, is_whole = _known_start(arguments[0]) if arguments else ("", False)
                name = start.lstrip(".")
                level = len(start) - len(name)
                above, is_known = _known_start(arguments[1]) if level and len(arguments) > 1 else ("", False)
                if not is_whole:
                    computed["" if level else start.rpartition(".")[0]] = None
                elif is_known:
                    parts = above.split(".")
                    statements.append((0, ".".join([*parts[: len(parts) - level + 1], name]), ()))
                else:
                    statements.append((level, name, ()))
    return Imports(tuple(statements), tuple(computed), tuple(exported))


def _nodes(tree: ast.AST, expressions: bool) -> Iterator[ast.AST]:
    """Yields all statements, and all expressions only where they are wanted: they are most of a file."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [child for child in ast.iter_child_nodes(node) if expressions or not isinstance(child, ast.expr)]


def _known_start(node: ast.expr) -> tuple[str, bool]:
    """Returns the constant text that an expression begins with, and whether that is all of it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value, True
    if isinstance(node, ast.JoinedStr) and node.values:
        return _known_start(node.values[0])[0], False
    if isinstance(node, ast.BinOp):
        start = _known_start(node.left)[0]
        return (start if isinstance(node.op, ast.Add) else start.partition("%")[0]), False
    return "", False
