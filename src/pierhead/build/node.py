"""The recipe of Node apps: `node_modules` as the dependency layer. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from pierhead.build.ingredients import FOLDER, Dependencies, Files, Recipe, Work, procfile, shell
from pierhead.kit import errors
from pierhead.model.app import BuildSpec

LOCKS = ("package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock")
READ = ("package.json", *LOCKS, ".npmrc", ".yarnrc.yml", "pnpm-workspace.yaml")
_QUIET = "--no-audit --no-fund --no-update-notifier --cache /tmp/npm"
_NPM = f"npm ci {{which}} {_QUIET}"
_TOOL = f"npm install --global --prefix /tmp/tools --silent {_QUIET} {{tool}}\nexport PATH=/tmp/tools/bin:$PATH"
_KEEP = f"""\
mkdir -p {FOLDER} node_modules
rm -rf node_modules/.package-lock.json node_modules/.cache node_modules/.yarn-integrity node_modules/.yarn-state.yml \\
  node_modules/.modules.yaml node_modules/.pnpm-workspace-state*.json
mv node_modules {FOLDER}/"""
"""The managers' own lists of what they installed are left out: they name the registry that this machine was told of."""
_CONFIGURED = (".npmrc", ".yarnrc.yml", "pnpm-workspace.yaml")
_OF_DEPENDENCIES = (
    *("name", "version", "dependencies", "devDependencies", "optionalDependencies", "peerDependencies"),
    *("packageManager", "resolutions", "pnpm", "dependenciesMeta"),
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
    lock = files.first(*LOCKS)
    install = [install_script(files, parse(files), lock, all_=True)] if lock else []
    return "\n".join([*install, shlex.join(spec.command)])


def install_script(files: Files, package: Mapping[str, Any], lock: str, *, all_: bool) -> str:
    """What puts into `node_modules` what the lock file names; with `all_` what only a build needs, too."""
    if lock == "pnpm-lock.yaml":
        which = "" if all_ else "--prod "
        options = "--frozen-lockfile --config.node-linker=hoisted --config.package-import-method=copy"
        tool = _TOOL.format(tool=_manager(package, "pnpm") or _pnpm(files.text(lock)))
        return f"{tool}\npnpm install {which}{options} --store-dir /tmp/pnpm"
    if lock == "yarn.lock" and "__metadata:" in files.text(lock):
        how = "yarn install --immutable" if all_ else "yarn workspaces focus --production"
        settings = "export YARN_NODE_LINKER=node-modules YARN_ENABLE_GLOBAL_CACHE=true YARN_ENABLE_TELEMETRY=0"
        return f"{_TOOL.format(tool='@yarnpkg/cli-dist')}\n{settings} YARN_IGNORE_PATH=1\n{how}"
    if lock == "yarn.lock":
        which = "--production=false" if all_ else "--production"
        return f"{_TOOL.format(tool='yarn@1')}\nyarn install --frozen-lockfile --non-interactive --no-progress {which}"
    return _NPM.format(which="--include=dev" if all_ else "--omit=dev")


def _manager(package: Mapping[str, Any], name: str) -> str:
    """`pnpm@9.1.0` where package.json asks for that very version."""
    found = re.match(rf"{name}@(\d+\.\d+\.\d+)", str(package.get("packageManager") or ""))
    return f"{name}@{found[1]}" if found else ""


def _pnpm(lock: str) -> str:
    """The newest pnpm that reads this lock file and runs on Debian's Node."""
    found = re.search(r"lockfileVersion: '?(\d+)", lock)
    return {"5": "pnpm@7", "6": "pnpm@8"}.get(found[1] if found else "", "pnpm@9")


def _dependencies(files: Files, package: Mapping[str, Any], builder: str) -> Dependencies | None:
    lock = files.first(*LOCKS)
    if not lock:
        if package.get("dependencies"):
            raise errors.Invalid(
                "package.json names dependencies, and there is no lock file.",
                hint="`npm install --package-lock-only` writes package-lock.json; commit it. pnpm-lock.yaml and "
                "yarn.lock are read too.",
            )
        return None
    kept = {key: value for key, value in package.items() if key in _OF_DEPENDENCIES}
    inputs = {"package.json": json.dumps(kept, sort_keys=True).encode(), lock: files.contents.get(lock, b"")}
    inputs |= {name: files.contents.get(name, b"") for name in _CONFIGURED if files.has(name)}
    compiling = "node-compile" if builder == "node-build" else ""
    script = f"{install_script(files, package, lock, all_=False)}\n{_KEEP}"
    return Dependencies(lock, inputs, script, f"{FOLDER}/node_modules", builder, compiling)


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
