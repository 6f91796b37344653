"""How a commit becomes an image, found by looking. Pure: names and contents in, a recipe out that prints itself."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pierhead.kit import errors
from pierhead.model.app import BuildSpec

READ = (
    "requirements.txt",
    "uv.lock",
    "pyproject.toml",
    "Procfile",
    "package.json",
    "package-lock.json",
    "npm-shrinkwrap.json",
)
"""The files whose contents a recipe is chosen by."""

RUNTIMES = ("python", "node", "static")
_VENV = "/opt/venv"


@dataclass(frozen=True, slots=True)
class Files:
    """The names of a commit's files, and the contents of those in `READ` that it has."""

    names: Sequence[str]
    contents: Mapping[str, bytes]

    def has(self, name: str) -> bool:
        return name in self.contents or name in self.names


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What is installed once and shared by every commit with the same lock file."""

    files: Sequence[str]
    """Of the commit; their contents are the key."""
    script: str
    """Run by `/bin/sh` in `/build`, which holds the files."""
    result: str
    """The folder that is the layer, where it is in the image."""
    builder: str
    """The base image that the script runs in."""

    def key(self, files: Files, builder_digest: str) -> str:
        """Equal keys give equal layers."""
        parts = [self.script.encode(), self.result.encode(), builder_digest.encode()]
        parts += [files.contents[name] for name in self.files]
        return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


@dataclass(frozen=True, slots=True)
class Recipe:
    kind: str
    reasons: Sequence[str]
    base: str = ""
    dependencies: Dependencies | None = None
    command: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    root: str = ""
    """The folder of the commit that is the site; empty: all of it."""

    def __str__(self) -> str:
        return f"{self.kind}: {', '.join(self.reasons)}"


def choose(files: Files, spec: BuildSpec) -> Recipe:
    """Raises: Invalid (nothing is recognised, or what is asked for cannot be)."""
    if spec.dockerfile or (not spec.runtime and files.has("Dockerfile")):
        name = spec.dockerfile or "Dockerfile"
        if not files.has(name):
            raise errors.Invalid(f"The commit has no {name}.", hint="build.dockerfile in pier.yaml names it.")
        return Recipe("dockerfile", (f"there is a {name}",))
    kind = spec.runtime or _recognised(files)
    return {"python": _python, "node": _node, "static": _static}[kind](files, spec)


def _recognised(files: Files) -> str:
    if files.has("requirements.txt") or files.has("pyproject.toml"):
        return "python"
    if files.has("package.json"):
        return "node"
    if files.has("index.html"):
        return "static"
    raise errors.Invalid(
        "Pierhead does not recognise what this commit is.",
        hint="It looks for Dockerfile, requirements.txt, pyproject.toml, package.json, index.html. "
        "Add a Dockerfile, or say `build: {runtime: python}` (or node, static) in pier.yaml.",
    )


def _python(files: Files, spec: BuildSpec) -> Recipe:
    reasons, dependencies = ["Python"], None
    venv = f"python3 -m venv {_VENV}"
    clean = f"{_VENV}/bin/pip uninstall --quiet --yes pip setuptools"
    install = f"{_VENV}/bin/pip install --no-cache-dir --no-compile --disable-pip-version-check"
    if files.has("uv.lock"):
        reasons.append("dependencies from uv.lock")
        export = f"{_VENV}/bin/uv export --quiet --frozen --no-dev --no-emit-project -o /tmp/requirements.txt"
        script = f"{venv} && {install} uv && {export} && {install} -r /tmp/requirements.txt"
        script += f" && {_VENV}/bin/pip uninstall --quiet --yes uv && {clean}"
        dependencies = Dependencies(("pyproject.toml", "uv.lock"), script, _VENV, "python")
    elif files.has("requirements.txt"):
        reasons.append("dependencies from requirements.txt")
        script = f"{venv} && {install} -r requirements.txt && {clean}"
        dependencies = Dependencies(("requirements.txt",), script, _VENV, "python")
    command, why = _python_command(files)
    env = {
        "PATH": f"{_VENV}/bin:/usr/local/bin:/usr/bin:/bin",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return Recipe("python", (*reasons, why), spec.base or "python", dependencies, command, env)


def _python_command(files: Files) -> tuple[Sequence[str], str]:
    if command := _procfile(files):
        return command, "the command from Procfile"
    listed = (files.contents.get("requirements.txt", b"") + files.contents.get("uv.lock", b"")).decode(errors="replace")
    module = next((name for name in ("app", "main", "wsgi", "asgi") if files.has(f"{name}.py")), "")
    if module and re.search(r"\buvicorn\b", listed):
        return ("/bin/sh", "-c", f"exec uvicorn {module}:app --host 0.0.0.0 --port $PORT"), f"uvicorn and {module}.py"
    if module and re.search(r"\bgunicorn\b", listed):
        return ("/bin/sh", "-c", f"exec gunicorn --bind 0.0.0.0:$PORT {module}:app"), f"gunicorn and {module}.py"
    if module:
        return ("python3", f"{module}.py"), f"{module}.py"
    return (), "no command found: pier.yaml must say `command`"


def _node(files: Files, spec: BuildSpec) -> Recipe:
    package = _package(files)
    lock = next((name for name in ("package-lock.json", "npm-shrinkwrap.json") if files.has(name)), "")
    reasons, dependencies = ["Node"], None
    if lock:
        reasons.append(f"dependencies from {lock}")
        script = "npm ci --omit=dev --no-audit --no-fund && mkdir -p /app && cp -a node_modules /app/"
        dependencies = Dependencies(("package.json", lock), script, "/app/node_modules", "node-build")
    elif package.get("dependencies"):
        raise errors.Invalid(
            "package.json names dependencies, and there is no package-lock.json.",
            hint="`npm install --package-lock-only` writes it; commit it.",
        )
    command, why = _node_command(files, package)
    env = {"NODE_ENV": "production", "PATH": "/app/node_modules/.bin:/usr/local/bin:/usr/bin:/bin"}
    return Recipe("node", (*reasons, why), spec.base or "node", dependencies, command, env)


def _node_command(files: Files, package: Mapping[str, object]) -> tuple[Sequence[str], str]:
    if command := _procfile(files):
        return command, "the command from Procfile"
    scripts = package.get("scripts")
    if isinstance(scripts, dict) and (start := scripts.get("start")):
        return ("/bin/sh", "-c", f"exec {start}"), "the script start of package.json"
    main = package.get("main")
    if isinstance(main, str):
        return ("node", main), "main of package.json"
    if files.has("server.js") or files.has("index.js"):
        name = "server.js" if files.has("server.js") else "index.js"
        return ("node", name), name
    return (), "no command found: pier.yaml must say `command`"


def _static(files: Files, spec: BuildSpec) -> Recipe:
    root = spec.output.strip("/")
    index = f"{root}/index.html" if root else "index.html"
    if not files.has(index):
        raise errors.Invalid(f"A static site needs a page {index}.", hint="build.output in pier.yaml names its folder.")
    folder = shlex.quote(f"/app/{root}".rstrip("/"))
    command = ("/bin/sh", "-c", f"exec httpd -f -vv -p $PORT -h {folder}")
    return Recipe("static", ("a static site", index), spec.base or "static", None, command, root=root)


def _procfile(files: Files) -> Sequence[str]:
    for line in files.contents.get("Procfile", b"").decode(errors="replace").splitlines():
        name, _, command = line.partition(":")
        if name.strip() == "web" and command.strip():
            return ("/bin/sh", "-c", f"exec {command.strip()}")
    return ()


def _package(files: Files) -> Mapping[str, object]:
    try:
        value = json.loads(files.contents.get("package.json", b"{}"))
    except ValueError as error:
        raise errors.Invalid(f"package.json is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise errors.Invalid("package.json is not a JSON object.")
    return value
