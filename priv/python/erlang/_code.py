"""Compiles source and keeps its lines where tracebacks look for them."""

import ast
import linecache
from collections import OrderedDict

_MAX_SOURCES = 512
_sources = OrderedDict()
_count = 0


def compile_source(source, mode):
    """Compile `source` for `eval`, `exec` or `last`.

    Returns the code objects `(body, value)`, either of which may be None. `last` splits off a final expression, whose value is
    the result.
    """
    name = _remember(source, "eval" if mode == "eval" else "exec")
    if mode == "eval":
        return None, compile(source.strip(), name, "eval", dont_inherit=True)
    if mode == "exec":
        return compile(source, name, "exec", dont_inherit=True), None
    tree = compile(source, name, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    value = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        value = compile(ast.Expression(tree.body.pop().value), name, "eval", dont_inherit=True)
    return compile(tree, name, "exec", dont_inherit=True), value


def _remember(source, kind):
    global _count
    _count += 1
    name = f"<{kind} {_count}>"
    # An entry without a modification time is never checked against the disk.
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    _sources[name] = None
    if len(_sources) > _MAX_SOURCES:
        linecache.cache.pop(_sources.popitem(last=False)[0], None)
    return name
