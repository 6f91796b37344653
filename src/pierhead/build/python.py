"""The recipe of Python apps: a virtual environment as the dependency layer. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from pierhead.build.ingredients import Dependencies, Files, Recipe, Work, procfile, shell
from pierhead.kit import errors
from pierhead.model.app import BuildSpec

LOCKS = ("uv.lock", "poetry.lock", "requirements.txt")
READ = (*LOCKS, "pyproject.toml", "manage.py", "app.py", "main.py", "wsgi.py", "asgi.py")

_VENV = "/opt/venv"
_PATH = f"{_VENV}/bin:/usr/local/bin:/usr/bin:/bin"
_TOOLS = "/opt/tools"
_PIP = f"{_TOOLS}/bin/pip --python {_VENV}/bin/python install --no-cache-dir --no-compile --progress-bar off"
"""Of an environment of its own, so that nothing but what the lock file names is in the layer."""
_BEGIN = f"python3 -m venv --without-pip {_VENV}\npython3 -m venv {_TOOLS}"
_EXPORT = f"{_TOOLS}/bin/uv export --quiet --frozen --no-dev --no-emit-project --output-file locked.txt"
_POETRY = f"{_TOOLS}/bin/poetry export --quiet --only main --output locked.txt"
"""Read from the lock file, and installed by pip, which knows where packages come from on this machine."""
_END = f"{_VENV}/bin/python -m compileall -q --invalidation-mode unchecked-hash {_VENV}/lib || true"
"""Compiled once, instead of by every container at its start; without times, which a layer does not keep."""
_MODULES = ("app", "main", "wsgi", "asgi")
_APPLICATION = re.compile(
    r"^(\w+)\s*(?::[^=]+)?=\s*[\w.]*(Flask|FastAPI|Starlette|Quart|Sanic|create_app|get_[wa]sgi_application)\(", re.M
)
_SERVERS = {
    "gunicorn": "gunicorn --bind 0.0.0.0:${{PORT:-8000}} {target}",
    "hypercorn": "hypercorn --bind 0.0.0.0:${{PORT:-8000}} {target}",
    "waitress": "waitress-serve --listen=0.0.0.0:${{PORT:-8000}} {target}",
}


def recipe(files: Files, spec: BuildSpec, reason: str) -> Recipe:
    """Raises: Invalid (dependencies that are not pinned by anything)."""
    base = spec.base or "python"
    dependencies = _dependencies(files, spec)
    command, why = _command(files)
    env = {"PATH": _PATH, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    work = Work(shlex.join(spec.command), base, on_dependencies=True) if spec.command else None
    return Recipe("python", (reason, why), base, dependencies, work, command, env)


def _dependencies(files: Files, spec: BuildSpec) -> Dependencies | None:
    if files.has("uv.lock") and files.has("pyproject.toml"):
        script = f"{_BEGIN}\n{_TOOLS}/bin/pip install --quiet uv\n{_EXPORT}\n{_PIP} --requirement locked.txt\n{_END}"
        return _installed(files, spec, "uv.lock", ("uv.lock", "pyproject.toml"), script)
    if files.has("poetry.lock") and files.has("pyproject.toml"):
        tools = f"{_TOOLS}/bin/pip install --quiet poetry poetry-plugin-export"
        script = f"{_BEGIN}\n{tools}\n{_POETRY}\n{_PIP} --requirement locked.txt\n{_END}"
        return _installed(files, spec, "poetry.lock", ("poetry.lock", "pyproject.toml"), script)
    if files.has("requirements.txt"):
        script = f"{_BEGIN}\n{_PIP} --requirement requirements.txt\n{_END}"
        return _installed(files, spec, "requirements.txt", ("requirements.txt",), script)
    if re.search(r"^\s*dependencies\s*=\s*\[\s*[\"']", files.text("pyproject.toml"), re.M):
        raise errors.Invalid(
            "pyproject.toml names dependencies, and there is no lock file.",
            hint="Commit a uv.lock (`uv lock`), a poetry.lock or a requirements.txt with every version (`pip freeze`).",
        )
    return None


def _installed(files: Files, spec: BuildSpec, lock: str, names: Sequence[str], script: str) -> Dependencies:
    inputs = {name: files.contents.get(name, b"") for name in names}
    if spec.base:
        return Dependencies(lock, inputs, script, _VENV, builder=spec.base)
    return Dependencies(lock, inputs, script, _VENV, builder="python", compiling_builder="python-build")


def _command(files: Files) -> tuple[Sequence[str], str]:
    if command := procfile(files):
        return command, "Procfile says how web is started"
    listed = _listed(files)
    if found := _entry(files):
        target, why = found
        if re.search(r"\buvicorn\b", listed) and not target.split(":")[0].endswith("wsgi"):
            return shell(f"uvicorn {target} --host 0.0.0.0 --port ${{PORT:-8000}}"), f"uvicorn and {why}"
        for server in _SERVERS:
            if re.search(rf"\b{server}\b", listed):
                return shell(_SERVERS[server].format(target=target)), f"{server} and {why}"
        if module := next((name for name in _MODULES if files.has(f"{name}.py")), ""):
            return ("python3", f"{module}.py"), f"{module}.py is the program"
    package = next((name.split("/")[0] for name in sorted(files.names) if re.fullmatch(r"\w+/__main__\.py", name)), "")
    if package:
        return ("python3", "-m", package), f"{package}/__main__.py is the program"
    return (), "no command is found: pier.yaml must say `command`"


def _entry(files: Files) -> tuple[str, str] | None:
    """`module:name` of the application that a server runs, and where it was found."""
    if module := next((name for name in _MODULES if files.has(f"{name}.py")), ""):
        found = _APPLICATION.search(files.text(f"{module}.py"))
        return f"{module}:{found[1] if found else 'app'}", f"{module}.py"
    inner = [name for name in sorted(files.names) if re.fullmatch(r"\w+/(asgi|wsgi)\.py", name)]
    if files.has("manage.py") and inner:  # a Django project
        asked = "asgi" if re.search(r"\buvicorn\b|\bhypercorn\b", _listed(files)) else "wsgi"
        chosen = next((name for name in inner if name.endswith(f"{asked}.py")), inner[0])
        return f"{chosen.removesuffix('.py').replace('/', '.')}:application", chosen
    return None


def _listed(files: Files) -> str:
    """What the lock files name."""
    return "".join(files.text(name) for name in LOCKS)
