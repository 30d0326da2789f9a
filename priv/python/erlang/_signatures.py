"""The public functions of a Python file, read from its text without running it: see `Py.Module`.

    python -I _signatures.py FILE
    python -I _signatures.py --module NAME [FOLDER...]

A program of its own, run while Elixir code is compiled. It prints one term in Erlang's external format.
"""

import ast
import struct
import sys


def term(value):
    """Return `value` in Erlang's external format, without the leading version byte. A str becomes a binary."""
    if value is None:
        return b"w\x03nil"
    if value is True or value is False:
        name = str(value).lower().encode()
        return b"w" + bytes([len(name)]) + name
    if isinstance(value, str):
        data = value.encode(errors="backslashreplace")
        return b"m" + struct.pack(">I", len(data)) + data
    if isinstance(value, float):
        return b"F" + struct.pack(">d", value)
    if isinstance(value, int):
        size = (abs(value).bit_length() + 7) // 8
        return b"n" + bytes([size, value < 0]) + abs(value).to_bytes(size, "little")
    if isinstance(value, tuple):
        return b"h" + bytes([len(value)]) + b"".join(map(term, value))
    if not value:
        return b"j"
    return b"l" + struct.pack(">I", len(value)) + b"".join(map(term, value)) + b"j"


def find(name, folders):
    """Return the path of a module's file. Packages on the way are not imported."""
    from importlib.machinery import PathFinder

    path = [*folders, *sys.path]
    parts = name.split(".")
    for at in range(len(parts)):
        spec = PathFinder.find_spec(".".join(parts[: at + 1]), path)
        if spec is None and name not in sys.builtin_module_names:
            sys.exit(f"there is no Python module {name}")
        if spec is None:
            sys.exit(f"the Python module {name} has no source file")
        path = spec.submodule_search_locations
        if path is None and at + 1 < len(parts):
            sys.exit(f"there is no Python module {name}: {'.'.join(parts[: at + 1])} is no package")
    if not spec.origin or not spec.origin.endswith(".py"):
        sys.exit(f"the Python module {name} has no source file")
    return spec.origin


def functions(tree):
    """Return the description of each public function at the top level; a later definition replaces an earlier one."""
    public = names(tree)
    found = {}
    for node in top(tree.body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and is_public(node.name, public):
            found[node.name] = describe(node)
    return list(found.values())


def top(body):
    """Yield the statements of a module, those within `if` and `try` too."""
    for node in body:
        yield node
        for inner in ("body", "orelse", "handlers", "finalbody"):
            if isinstance(node, (ast.If, ast.Try, ast.With, ast.ExceptHandler)):
                yield from top(getattr(node, inner, []))


def names(tree):
    """Return the names in `__all__`, None if there is none that can be read."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            try:
                return [str(name) for name in ast.literal_eval(node.value)]
            except ValueError:
                return None
    return None


def is_public(name, public):
    return name in public if public is not None else not name.startswith("_")


def describe(node):
    args = node.args
    plain = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(plain) - len(args.defaults)) + args.defaults
    return (
        node.name,
        ast.get_docstring(node),
        f"{node.name}({ast.unparse(args)})",
        kind(node),
        [(arg.arg, default(value), annotation(arg.annotation)) for arg, value in zip(plain, defaults)],
        args.vararg and args.vararg.arg,
        [(arg.arg, value is None, annotation(arg.annotation)) for arg, value in zip(args.kwonlyargs, args.kw_defaults)],
        args.kwarg is not None,
        annotation(node.returns),
    )


def kind(node):
    yields = any(isinstance(inner, (ast.Yield, ast.YieldFrom)) for inner in own(node))
    if isinstance(node, ast.AsyncFunctionDef):
        return "async_generator" if yields else "async"
    return "generator" if yields else "function"


def own(node):
    """Yield the nodes of a function, without those of functions and classes in it."""
    for inner in ast.iter_child_nodes(node):
        if not isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            yield inner
            yield from own(inner)


def default(node):
    """Return None without a default, else a 1-tuple of its value where Elixir has the same, and () for all others."""
    if node is None:
        return None
    try:
        value = ast.literal_eval(node)
    except (ValueError, SyntaxError):
        return ()
    same = value is None or isinstance(value, (bool, str)) or (isinstance(value, int) and abs(value) < 1 << 60)
    same = same or (isinstance(value, float) and value - value == 0)
    return (value,) if same else ()


def annotation(node):
    """Return a type hint as nested lists, its name first; None where it is not understood."""
    if node is None:
        return None
    if isinstance(node, ast.Constant):
        return constant(node.value)
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        return [node.attr]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return ["Union", annotation(node.left), annotation(node.right)]
    if isinstance(node, ast.Subscript):
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return [*(annotation(node.value) or ["?"]), *map(annotation, inner)]
    return None


def constant(value):
    """Return a type hint that is a constant: None, `...`, or a str that holds a hint."""
    if value is None:
        return ["None"]
    if value is ...:
        return ["..."]
    try:
        return annotation(ast.parse(value, mode="eval").body) if isinstance(value, str) else None
    except SyntaxError:
        return None


def main(arguments):
    file = find(arguments[1], arguments[2:]) if arguments[0] == "--module" else arguments[0]
    with open(file, "rb") as source:
        text = source.read()
    try:
        tree = ast.parse(text, file)
    except SyntaxError as error:
        sys.exit(f"{file}:{error.lineno}: {error.msg}")
    result = (file, ast.get_docstring(tree), functions(tree))
    sys.stdout.buffer.write(b"\x83" + term(result))


if __name__ == "__main__":
    main(sys.argv[1:])
