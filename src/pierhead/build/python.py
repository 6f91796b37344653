"""The recipe of Python apps: a virtual environment as the dependency layer. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from pierhead.build.ingredients import Dependencies, Files, Recipe, Work, procfile, shell
from pierhead.kit import errors
from pierhead.model.app import BuildSpec

READ = ("requirements.txt", "uv.lock", "pyproject.toml", "manage.py", "app.py", "main.py", "wsgi.py", "asgi.py")

_VENV = "/opt/venv"
_PATH = f"{_VENV}/bin:/usr/local/bin:/usr/bin:/bin"
_TOOLS = "/opt/tools"
_PIP = f"{_TOOLS}/bin/pip --python {_VENV}/bin/python install --no-cache-dir --no-compile --progress-bar off"
"""Of an environment of its own, so that nothing but what the lock file names is in the layer."""
_BEGIN = f"python3 -m venv --without-pip {_VENV}\npython3 -m venv {_TOOLS}"
_EXPORT = f"{_TOOLS}/bin/uv export --quiet --frozen --no-dev --no-emit-project --output-file locked.txt"
_END = f"{_VENV}/bin/python -m compileall -q --invalidation-mode unchecked-hash {_VENV}/lib || true"
"""Compiled once, instead of by every container at its start; without times, which a layer does not keep."""
_MODULES = ("app", "main", "wsgi", "asgi")
_APPLICATION = re.compile(
    r"^(\w+)\s*(?::[^=]+)?=\s*[\w.]*(Flask|FastAPI|Starlette|Quart|Sanic|create_app|get_[wa]sgi_application)\(", re.M
)


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
    if files.has("requirements.txt"):
        script = f"{_BEGIN}\n{_PIP} --requirement requirements.txt\n{_END}"
        return _installed(files, spec, "requirements.txt", ("requirements.txt",), script)
    if re.search(r"^\s*dependencies\s*=\s*\[\s*[\"']", files.text("pyproject.toml"), re.M):
        raise errors.Invalid(
            "pyproject.toml names dependencies, and there is no lock file.",
            hint="Commit a uv.lock (`uv lock`) or a requirements.txt with every version (`pip freeze`).",
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
    listed = files.text("requirements.txt") + files.text("uv.lock")
    module = next((name for name in _MODULES if files.has(f"{name}.py")), "")
    if module:
        found = _APPLICATION.search(files.text(f"{module}.py"))
        target = f"{module}:{found[1] if found else 'app'}"
        if re.search(r"\buvicorn\b", listed):
            return shell(f"uvicorn {target} --host 0.0.0.0 --port ${{PORT:-8000}}"), f"uvicorn and {module}.py"
        if re.search(r"\bgunicorn\b", listed):
            return shell(f"gunicorn --bind 0.0.0.0:${{PORT:-8000}} {target}"), f"gunicorn and {module}.py"
        return ("python3", f"{module}.py"), f"{module}.py is the program"
    package = next((name.split("/")[0] for name in sorted(files.names) if re.fullmatch(r"\w+/__main__\.py", name)), "")
    if package:
        return ("python3", "-m", package), f"{package}/__main__.py is the program"
    return (), "no command is found: pier.yaml must say `command`"
