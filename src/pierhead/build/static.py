"""The recipe of sites that are only files: the commit's own, or those that a build command makes. Pure."""

from __future__ import annotations

import shlex

from pierhead.build import node
from pierhead.build.ingredients import FOLDER, Files, Recipe, Work
from pierhead.kit import errors
from pierhead.model.app import BuildSpec


def recipe(files: Files, spec: BuildSpec, reason: str) -> Recipe:
    """Raises: Invalid (there is no page to begin with)."""
    output = spec.output.strip("/")
    root = f"{FOLDER}/{output}" if output else FOLDER
    index = f"{output}/index.html" if output else "index.html"
    if not spec.command and not files.has(index):
        raise errors.Invalid(f"A static site needs a page {index}.", hint="build.output in pier.yaml names its folder.")
    work = Work(*_work(files, spec), output=output) if spec.command else None
    why = f"made by `{shlex.join(spec.command)}`" if work else f"{index} is its first page"
    env = {"PIER_SITE": root}
    return Recipe("static", (reason, why), spec.base or "static", work=work, command=("/bin/pier-site",), env=env)


def _work(files: Files, spec: BuildSpec) -> tuple[str, str]:
    """The script, and the base image that it runs in."""
    if files.has("package.json"):
        return node.work_script(files, spec), "node-build"
    if files.has("requirements.txt"):
        install = "python3 -m venv /tmp/venv\n/tmp/venv/bin/pip install --requirement requirements.txt"
        return f"{install}\nexport PATH=/tmp/venv/bin:$PATH\n{shlex.join(spec.command)}", "python"
    return shlex.join(spec.command), "debian"
