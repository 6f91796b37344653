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

_PYTHON_FILES = ("pyproject.toml", "requirements.txt", "uv.lock", "poetry.lock", "Pipfile.lock", "Pipfile", "setup.py")
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
_SITE_TOOLS: Mapping[str, str] = {"vite": "dist", "react-scripts": "build", "astro": "dist", "@angular/cli": "dist"}
_SITE_PORT = 8080
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
    """As the file has it: a text in quotes, or a list."""
    env: Mapping[str, str] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    def because(self, *reasons: str) -> _Guess:
        return replace(self, reasons=(*self.reasons, *reasons))


def init(files: Mapping[str, str], name: str, schema_url: str = "") -> Draft:
    """A valid app file for a repository that holds `files` (path → content, empty for what was not read)."""
    guess = _with_procfile(_look(files), files.get("Procfile", ""))
    return Draft(_text(app_name(name), guess, schema_url), guess.reasons)


def app_name(name: str) -> str:
    """The nearest name that an app can have."""
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:40].strip("-")
    return found if NAME.fullmatch(found) else "app"


def _look(files: Mapping[str, str]) -> _Guess:
    if "Dockerfile" in files:
        return _docker(files["Dockerfile"])
    if "package.json" in files:
        return _node(files["package.json"])
    if found := next((name for name in _PYTHON_FILES if name in files), ""):
        return _python(found, files)
    if "index.html" in files:
        site = _Guess({"runtime": "static"}, _SITE_PORT)
        return site.because("index.html is there: a static site, no build needed.")
    return _Guess(port=8000).because(
        "No Dockerfile, package.json, Python project or index.html was found at the top of the repository: "
        "say under `build` how the image is made.",
        "The port is a guess.",
    )


def _docker(text: str) -> _Guess:
    exposed = re.findall(r"^\s*EXPOSE\s+(\d+)", text, re.MULTILINE | re.IGNORECASE)
    guess = _Guess({"dockerfile": "Dockerfile"}).because("Dockerfile is there: the image is built with it.")
    if exposed:
        return replace(guess, port=int(exposed[-1])).because(f"It says EXPOSE {exposed[-1]}.")
    return replace(guess, port=8000).because("It has no EXPOSE line: the port is a guess.")


def _node(text: str) -> _Guess:
    package = _json(text)
    scripts, needed = (
        _names(package, "scripts"),
        {**_names(package, "dependencies"), **_names(package, "devDependencies")},
    )
    tool = next((tool for tool in _SITE_TOOLS if tool in needed), "")
    if tool and "build" in scripts and not any(web in needed for web in _NODE_WEB):
        build = {"runtime": "static", "command": "npm run build", "output": _SITE_TOOLS[tool]}
        return _Guess(build, _SITE_PORT).because(
            f"package.json has a build script and uses {tool}: a static site in {_SITE_TOOLS[tool]}/ after the build."
        )
    build = {"runtime": "node"} | ({"command": "npm run build"} if "build" in scripts else {})
    guess = _Guess(build).because("package.json is there: a Node app.")
    if "start" in scripts:
        guess = replace(guess, command='"npm start"').because("It is started with its script `start`.")
    if web := next((web for web in _NODE_WEB if web in needed), ""):
        return replace(guess, port=3000).because(f"It uses {web}: HTTP, and 3000 is the usual port.")
    return replace(guess, port=3000).because("The port is a guess; remove `ports` if it serves nothing.")


def _python(found: str, files: Mapping[str, str]) -> _Guess:
    guess = _Guess({"runtime": "python"}).because(f"{found} is there: a Python app.")
    if command := _python_command(files):
        guess = replace(guess, command=_runnable(command)).because(f"It is started with `{command}`.")
    needed = "\n".join(files.get(name, "") for name in ("pyproject.toml", "requirements.txt")).lower()
    if web := next((web for web in _PYTHON_WEB if re.search(rf"\b{web}\b", needed)), ""):
        return replace(guess, port=8000).because(f"It uses {web}: HTTP, and 8000 is the usual port.")
    return replace(guess, port=8000).because("The port is a guess; remove `ports` if it serves nothing.")


def _python_command(files: Mapping[str, str]) -> str:
    """How the usual shapes of a Python app are started; empty: the owner says."""
    packages = sorted(name.split("/")[-2] for name in files if name.endswith("/__main__.py"))
    if packages:
        return f"python -m {packages[0]}"
    return next((f"python {name}" for name in ("main.py", "app.py", "server.py") if name in files), "")


def _with_procfile(guess: _Guess, procfile: str) -> _Guess:
    found = re.search(r"^web:[ \t]*(\S.*)$", procfile, re.MULTILINE)
    if not found:
        return guess
    line = found[1].strip()
    guess = replace(guess, command=_runnable(line)).because("Procfile says how `web` is started.")
    if guess.port and re.search(r"\$\{?PORT\b", line):
        return replace(guess, env={"PORT": str(guess.port)}).because("It reads its port from PORT.")
    return guess


def _runnable(line: str) -> str:
    """`line` as a command: through a shell where it uses one."""
    line = "".join(character for character in line if character.isprintable())
    is_plain = re.fullmatch(r"[A-Za-z][\w ./=@:,+-]*", line)
    return json.dumps(line if is_plain else ["sh", "-c", line], ensure_ascii=False)


def _text(name: str, guess: _Guess, schema_url: str) -> str:
    lines = [f"# yaml-language-server: $schema={schema_url}"] if schema_url else []
    lines += [f'app: "{name}"' if name in _YAML_WORDS else f"app: {name}"]
    if guess.build:
        lines += ["build:", *(f"  {key}: {value}" for key, value in guess.build.items())]
    if guess.command:
        lines += [f"command: {guess.command}"]
    if guess.port:
        lines += ["ports:", "  web:", f"    port: {guess.port}"]
        lines += ["    # hosts: [www.example.com]  # names besides <app>.<environment>.<domain>"]
        lines += [
            "# health: {http: /healthz}  # a path that answers 200 when the app can serve; else: the port is open"
        ]
    lines += ["replicas: 1", "# resources: {memory: 256MiB, cpus: 0.5}"]
    lines += ["env:", *(f"  {key}: {value}" for key, value in guess.env.items())] if guess.env else []
    lines += [] if guess.env else ["# env: {LOG_LEVEL: info}"]
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
    """The paths that `init` can learn something from: at the top, or a package's `__main__.py`."""
    return tuple(path for path in paths if "/" not in path or path.endswith("/__main__.py"))
