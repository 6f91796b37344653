"""A first `pier.yaml` for a repository that has none. Pure: names and contents in, text and reasons out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pierhead.model.app import NAME

READ = ("Dockerfile", "package.json", "Procfile", "pyproject.toml", "requirements.txt")
"""The files whose contents are looked at; of all others the name is enough."""

_PYTHON_FILES = ("requirements.txt", "pyproject.toml")
_PYTHON_MODULES = ("app", "main", "wsgi", "asgi")
"""What the recipe starts by itself."""
_PYTHON_WEB = (
    "fastapi",
    "flask",
    "django",
    "starlette",
    "aiohttp",
    "gunicorn",
    "uvicorn",
    "tornado",
    "sanic",
    "bottle",
)
_NODE_WEB = ("express", "fastify", "koa", "next", "nuxt", "hapi", "@nestjs/core", "@hapi/hapi", "hono", "restify")
_SITE_FOLDERS = ("dist", "build", "public", "out", "_site")
_PORT = 8000
_NODE_PORT = 3000
_YAML_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])
"""Names that YAML reads as something else."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The app file to begin with, and why it says what it says."""

    text: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Guess:
    build: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    command: str = ""
    """Empty: the recipe finds it."""
    reasons: tuple[str, ...] = ()

    def because(self, *reasons: str) -> _Guess:
        return replace(self, reasons=(*self.reasons, *reasons))


def init(files: Mapping[str, str], name: str, schema_url: str = "") -> Draft:
    """A valid app file for a repository that holds `files` (path → content, empty for what was not read)."""
    guess = _look(files)
    return Draft(_text(app_name(name), guess, schema_url), guess.reasons)


def app_name(name: str) -> str:
    """The nearest name that an app can have."""
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:40].strip("-")
    return found if NAME.fullmatch(found) else "app"


def _look(files: Mapping[str, str]) -> _Guess:
    if "Dockerfile" in files:
        return _docker(files["Dockerfile"])
    if found := next((name for name in _PYTHON_FILES if name in files), ""):
        return _python(found, files)
    if "package.json" in files:
        return _node(files)
    if "index.html" in files:
        site = _Guess({"runtime": "static"}, _PORT)
        return site.because("index.html is there: a static site.")
    return _Guess(port=_PORT).because(
        "No Dockerfile, Python project, package.json or index.html was found at the top of the repository: "
        "say under `build` how the image is made.",
        "The port is a guess.",
    )


def _docker(text: str) -> _Guess:
    exposed = [int(found) for found in re.findall(r"^\s*EXPOSE\s+(\d{1,5})\b", text, re.MULTILINE | re.IGNORECASE)]
    guess = _Guess({"dockerfile": "Dockerfile"}).because("Dockerfile is there: the image is built with it.")
    if exposed and 1 <= exposed[-1] <= 65535:
        return replace(guess, port=exposed[-1]).because(f"It says EXPOSE {exposed[-1]}.")
    return replace(guess, port=_PORT).because("It has no EXPOSE line: the port is a guess.")


def _python(found: str, files: Mapping[str, str]) -> _Guess:
    guess = _Guess({"runtime": "python"}, _PORT).because(f"{found} is there: a Python app.")
    if not {"uv.lock", "requirements.txt"} & files.keys():
        guess = guess.because("Neither uv.lock nor requirements.txt is: nothing is installed. `uv lock` writes one.")
    guess = _started(guess, files, [f"{name}.py" for name in _PYTHON_MODULES])
    needed = "\n".join(files.get(name, "") for name in _PYTHON_FILES).lower()
    return _with_port(guess, next((web for web in _PYTHON_WEB if re.search(rf"\b{web}\b", needed)), ""))


def _node(files: Mapping[str, str]) -> _Guess:
    package = _json(files["package.json"])
    scripts, needed = _names(package, "scripts"), _names(package, "dependencies")
    site = next((folder for folder in _SITE_FOLDERS if f"{folder}/index.html" in files), "")
    if site and "start" not in scripts:
        guess = _Guess({"runtime": "static", "output": site}, _PORT)
        return guess.because(f"package.json has no start script, and {site}/index.html is there: a static site.")
    guess = _Guess({"runtime": "node"}, _NODE_PORT).because("package.json is there: a Node app.")
    if needed and "package-lock.json" not in files:
        guess = guess.because("package-lock.json is not: `npm install --package-lock-only` writes it. Commit it.")
    if "start" in scripts or isinstance(package.get("main"), str):
        guess = guess.because("package.json says how it is started.")
    else:
        guess = _started(guess, files, ["server.js", "index.js"])
    return _with_port(guess, next((web for web in _NODE_WEB if web in needed), ""))


def _started(guess: _Guess, files: Mapping[str, str], mains: Sequence[str]) -> _Guess:
    """How it is started: mostly the recipe finds that by itself."""
    if re.search(r"^web:[ \t]*\S", files.get("Procfile", ""), re.MULTILINE):
        return guess.because("Procfile says how it is started.")
    if main := next((name for name in mains if name in files), ""):
        return guess.because(f"It is started by {main}.")
    packages = sorted(name.split("/")[-2] for name in files if name.endswith("/__main__.py"))
    if packages and packages[0].isidentifier():
        command = f"python3 -m {packages[0]}"
        return replace(guess, command=command).because(f"It is started with `{command}`.")
    return guess.because("Nothing says how it is started: add `command`.")


def _with_port(guess: _Guess, framework: str) -> _Guess:
    if framework:
        return guess.because(f"It uses {framework}: HTTP. It must listen on the port that the variable PORT holds.")
    return guess.because("That it serves HTTP is a guess: remove `ports` if it serves nothing.")


def _text(name: str, guess: _Guess, schema_url: str) -> str:
    lines = [f"# yaml-language-server: $schema={schema_url}"] if schema_url else []
    lines += [f'app: "{name}"' if name in _YAML_WORDS else f"app: {name}"]
    if guess.build:
        lines += ["build:", *(f"  {key}: {value}" for key, value in guess.build.items())]
    if guess.command:
        lines += [f"command: {json.dumps(guess.command, ensure_ascii=False)}"]
    if guess.port:
        lines += ["ports:", "  web:", f"    port: {guess.port}"]
        lines += ["    # hosts: [www.example.com]  # names besides <app>.<environment>.<domain>"]
        lines += [
            "# health: {http: /healthz}  # a path that answers 200 when the app can serve; else: the port is open"
        ]
    lines += ["replicas: 1", "# resources: {memory: 256MiB, cpus: 0.5}"]
    lines += ["# env: {LOG_LEVEL: info}"]
    lines += ["# secrets: [DATABASE_PASSWORD]  # `pier secret set`; the file /run/secrets/DATABASE_PASSWORD"]
    lines += ["# volumes: [{name: data, path: /data}]", "# environments:", "#   production: {replicas: 2}"]
    return "\n".join(lines) + "\n"


def _names(package: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = package.get(key)
    return value if isinstance(value, dict) else {}


def _json(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def folder_names(paths: Sequence[str]) -> tuple[str, ...]:
    """The paths that `init` can learn something from: at the top, a package's `__main__.py`, a site's first page."""
    return tuple(path for path in paths if "/" not in path or path.endswith(("/__main__.py", "/index.html")))
