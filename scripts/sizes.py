"""How large the files and functions of src/ are. Fails only when a file is above the cap."""

from __future__ import annotations

import ast
import statistics
import sys
from pathlib import Path

CAP = 600
EXEMPT = ("store/tables.py", "store/migrations/")
WORST = 5


def functions(path: Path) -> list[tuple[int, str]]:
    """Every function with its length: from its first line of code to its last, without its docstring."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node, clean=False) is not None
            doc = node.body[0]
            text = (doc.end_lineno or doc.lineno) - doc.lineno + 1 if documented else 0
            found.append(
                ((node.end_lineno or node.lineno) - node.lineno + 1 - text, f"{path}:{node.lineno} {node.name}")
            )
    return found


def report(root: Path) -> bool:
    """The sizes are printed. True when no file is above the cap."""
    paths = sorted(root.rglob("*.py"))
    files = sorted(((len(path.read_text().splitlines()), path) for path in paths), reverse=True)
    counted = [(size, path) for size, path in files if not any(part in str(path) for part in EXEMPT)]
    lengths = sorted((found for path in paths for found in functions(path)), reverse=True)
    sizes = sorted(length for length, _ in lengths)
    print(
        f"{len(files)} files, {sum(size for size, _ in files)} lines; median {statistics.median(s for s, _ in files):g}"
    )
    for size, path in counted[:WORST]:
        print(f"  {size:4} {path}")
    p95 = sizes[int(len(sizes) * 0.95)]
    print(f"{len(sizes)} functions; median {statistics.median(sizes):g}, 95th percentile {p95}")
    for length, name in lengths[:WORST]:
        print(f"  {length:4} {name}")
    above = [(size, path) for size, path in counted if size > CAP]
    for size, path in above:
        print(f"{path}: {size} lines; the cap is {CAP}. Split it.")
    return not above


if __name__ == "__main__":
    sys.exit(0 if report(Path("src")) else 1)
