"""How a commit becomes an image, found by looking. Pure: names and contents in, a recipe out that prints itself."""

from __future__ import annotations

import shlex

from pierhead.build import go, java, node, python, static
from pierhead.build.ingredients import Files, Recipe, Work, procfile
from pierhead.kit import errors
from pierhead.model.app import BuildSpec

READ = tuple(dict.fromkeys((*python.READ, *node.READ, *java.READ, *go.READ, "Procfile")))
"""The files whose contents a recipe is chosen by; of all others the name is enough."""

_RECIPES = {
    "python": python.recipe,
    "node": node.recipe,
    "java": java.recipe,
    "go": go.recipe,
    "static": static.recipe,
}


def choose(files: Files, spec: BuildSpec) -> Recipe:
    """The recipe of a commit with these files. Raises: Invalid (nothing is recognised, or what is asked cannot be)."""
    if spec.dockerfile or (not spec.runtime and not spec.base and files.has("Dockerfile")):
        name = spec.dockerfile or "Dockerfile"
        if not files.has(name):
            raise errors.Invalid(f"The commit has no {name}.", hint="build.dockerfile in pier.yaml names it.")
        reasons = ["pier.yaml names it" if spec.dockerfile else "there is a Dockerfile"]
        reasons += [f"with the secrets {', '.join(spec.secrets)}"] if spec.secrets else []
        return Recipe("dockerfile", reasons)
    if spec.secrets:
        raise errors.Invalid(
            "build.secrets is for a Dockerfile, and this commit has none.",
            hint="What an app needs while it runs is `secrets` at the top of pier.yaml.",
        )
    kind, reason = (spec.runtime, "pier.yaml says so") if spec.runtime else _recognised(files, spec)
    if kind == "plain":
        work = Work(shlex.join(spec.command), spec.base) if spec.command else None
        return Recipe("plain", (reason,), spec.base, work=work, command=procfile(files))
    if kind not in _RECIPES:
        raise errors.Invalid(f"There is no runtime {kind!r}: {', '.join(_RECIPES)}.")
    return _RECIPES[kind](files, spec, reason)


def _recognised(files: Files, spec: BuildSpec) -> tuple[str, str]:
    for kind, names in (
        ("node", ("package.json",)),
        (
            "python",
            (
                "requirements.txt",
                "uv.lock",
                "poetry.lock",
                "pyproject.toml",
                "manage.py",
                "app.py",
                "main.py",
                "wsgi.py",
            ),
        ),
        ("java", ("pom.xml",)),
        ("go", ("go.mod",)),
        ("static", ("index.html",)),
    ):
        if found := files.first(*names):
            is_site = kind == "node" and spec.output
            return ("static" if is_site else kind), f"{found} is there"
    if jar := java.built(files):
        return "java", f"{jar} is there"
    if program := go.built(files):
        return "go", f"{program} is the only program"
    if spec.base:
        return "plain", "pier.yaml names a base image, and nothing else is recognised"
    raise errors.Invalid(
        "Pierhead does not recognise what this commit is.",
        hint="It looks for Dockerfile, package.json, requirements.txt, uv.lock, poetry.lock, pyproject.toml, pom.xml, "
        "go.mod and index.html at the top, for a jar or war, and for one program. Add a Dockerfile, or say "
        "`build: {runtime: python}` (node, java, go, static), or `build: {base: IMAGE}`.",
    )
