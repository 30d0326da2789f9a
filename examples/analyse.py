"""Counts what is in a Python source file, from its syntax tree. Pure Python work: it holds the GIL throughout."""

import ast
import warnings

# Old code has escapes like "\d" that the parser warns of.
warnings.simplefilter("ignore", SyntaxWarning)

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BRANCHES = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.comprehension,
    ast.match_case,
)


def analyse(path):
    """What is in one file, as a dict; None when it is not valid Python."""
    with open(path, "rb") as file:
        source = file.read()
    try:
        tree = ast.parse(source, path)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None

    classes = 0
    branches = 0
    functions = []  # [name, number of lines, complexity]
    # Each node with the innermost function it is in: a branch counts for that one.
    nodes = [(tree, None)]
    while nodes:
        node, function = nodes.pop()
        if isinstance(node, FUNCTIONS):
            function = [node.name, node.end_lineno - node.lineno + 1, 1]
            functions.append(function)
        elif isinstance(node, ast.ClassDef):
            classes += 1
        elif isinstance(node, BRANCHES) or isinstance(node, ast.BoolOp):
            # `a and b and c` branches twice.
            found = len(node.values) - 1 if isinstance(node, ast.BoolOp) else 1
            branches += found
            if function is not None:
                function[2] += found
        nodes.extend((child, function) for child in ast.iter_child_nodes(node))

    return {
        "lines": source.count(b"\n"),
        "functions": len(functions),
        "classes": classes,
        "branches": branches,
        "longest": max(((lines, name) for name, lines, _ in functions), default=None),
        "most_complex": max(((complexity, name) for name, _, complexity in functions), default=None),
    }
