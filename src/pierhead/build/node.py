"""The recipe of Node apps: `node_modules` as the dependency layer. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from pierhead.build.ingredients import FOLDER, Dependencies, Files, Recipe, Work, procfile, shell
from pierhead.kit import errors
from pierhead.model.app import BuildSpec

READ = ("package.json", "package-lock.json", "npm-shrinkwrap.json", ".npmrc")

LOCKS = ("package-lock.json", "npm-shrinkwrap.json")
_INSTALL = f"""\
npm ci --omit=dev --no-audit --no-fund --no-update-notifier --cache /tmp/npm
mkdir -p {FOLDER} node_modules
rm -rf node_modules/.package-lock.json node_modules/.cache
mv node_modules {FOLDER}/"""
"""npm's own list of what it installed is left out: it names the registry that this machine was told to use."""
INSTALL_ALL = "npm ci --include=dev --no-audit --no-fund --no-update-notifier --cache /tmp/npm"
_OF_DEPENDENCIES = (
    *("name", "version", "dependencies", "devDependencies", "optionalDependencies", "peerDependencies"),
    *("peerDependenciesMeta", "bundleDependencies", "bundledDependencies", "overrides", "engines", "os", "cpu"),
)
"""What of package.json decides what is installed. Its scripts do not: they need files that are not there."""


def recipe(files: Files, spec: BuildSpec, reason: str) -> Recipe:
    """Raises: Invalid (package.json is not one; dependencies without a lock file)."""
    package = parse(files)
    builder = spec.base or "node-build"
    command, why = _command(files, package)
    env = {"NODE_ENV": "production", "PATH": f"{FOLDER}/node_modules/.bin:/usr/local/bin:/usr/bin:/bin"}
    work = Work(work_script(files, spec), builder) if spec.command else None
    return Recipe(
        "node", (reason, why), spec.base or "node", _dependencies(files, package, builder), work, command, env
    )


def parse(files: Files) -> Mapping[str, Any]:
    """package.json. Raises: Invalid."""
    try:
        value = json.loads(files.contents.get("package.json", b"{}"))
    except ValueError as error:
        raise errors.Invalid(f"package.json is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise errors.Invalid("package.json is not a JSON object.")
    return value


def work_script(files: Files, spec: BuildSpec) -> str:
    """The owner's command, with all that package.json names installed."""
    install = [INSTALL_ALL] if files.first(*LOCKS) else []
    return "\n".join([*install, shlex.join(spec.command)])


def _dependencies(files: Files, package: Mapping[str, Any], builder: str) -> Dependencies | None:
    lock = files.first(*LOCKS)
    if not lock:
        if package.get("dependencies"):
            raise errors.Invalid(
                "package.json names dependencies, and there is no package-lock.json.",
                hint="`npm install --package-lock-only` writes it; commit it.",
            )
        return None
    kept = {key: value for key, value in package.items() if key in _OF_DEPENDENCIES}
    inputs = {"package.json": json.dumps(kept, sort_keys=True).encode(), lock: files.contents.get(lock, b"")}
    if files.has(".npmrc"):
        inputs[".npmrc"] = files.contents.get(".npmrc", b"")
    compiling = "node-compile" if builder == "node-build" else ""
    return Dependencies(lock, inputs, _INSTALL, f"{FOLDER}/node_modules", builder, compiling)


def _command(files: Files, package: Mapping[str, Any]) -> tuple[Sequence[str], str]:
    if command := procfile(files):
        return command, "Procfile says how web is started"
    scripts = package.get("scripts")
    if isinstance(scripts, dict) and isinstance(start := scripts.get("start"), str):
        return shell(start), "package.json has a script start"
    main = package.get("main")
    if isinstance(main, str) and files.has(main.removeprefix("./")):
        return ("node", main), f"package.json says that {main} is the program"
    if found := files.first("server.js", "index.js", "app.js", "main.js"):
        return ("node", found), f"{found} is the program"
    return (), "no command is found: pier.yaml must say `command`"
