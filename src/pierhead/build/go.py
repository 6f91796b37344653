"""The recipe of Go apps, and of any one program that is there: compiled in a build container, run on Debian. Pure."""

from __future__ import annotations

import re
import shlex

from pierhead.build.ingredients import FOLDER, Files, Recipe, Work, procfile
from pierhead.kit import errors
from pierhead.model.app import BuildSpec

READ = ("go.mod",)

_PROGRAM = re.compile(r"(?:bin/)?[^/.]+")
_COMPILE = f"""\
export CGO_ENABLED=0 GOFLAGS=-mod=mod GOCACHE=/tmp/go-build GOPATH=/tmp/go
mkdir -p {FOLDER}/.run /tmp/made
go build -trimpath -ldflags='-s -w -buildid=' -o /tmp/made/ {{package}}
test "$(ls /tmp/made | wc -l)" = 1 || {{{{ echo "More than one program: say which in a Procfile." >&2; exit 1; }}}}
mv /tmp/made/* {FOLDER}/.run/app"""


def built(files: Files) -> str:
    """The one program of the commit: executable, without an extension, at the top or in `bin`; empty for none."""
    found = [name for name in sorted(files.executable) if _PROGRAM.fullmatch(name)]
    return found[0] if len(found) == 1 else ""


def recipe(files: Files, spec: BuildSpec, reason: str) -> Recipe:
    """Raises: Invalid (there is nothing to run)."""
    base = spec.base or "debian"
    if files.has("go.mod"):
        own = shlex.join(spec.command) if spec.command else _COMPILE.format(package=_package(files))
        command = procfile(files) or (f"{FOLDER}/.run/app",)
        work = Work(own, "go-build", output="" if spec.command or procfile(files) else ".run")
        return Recipe("go", (reason, "compiled in a build container"), base, work=work, command=command)
    program = built(files)
    if not program and not procfile(files):
        raise errors.Invalid(
            "A Go app needs a go.mod, or one program.",
            hint="Commit it as an executable file without an extension, at the top or in bin/.",
        )
    made = Work(shlex.join(spec.command), base) if spec.command else None
    return Recipe("go", (reason,), base, work=made, command=procfile(files) or (f"{FOLDER}/{program}",))


def _package(files: Files) -> str:
    """Where `main` is: the top, or the one folder below `cmd`."""
    folders = sorted({name.split("/")[1] for name in files.names if re.fullmatch(r"cmd/[^/]+/[^/]+\.go", name)})
    return f"./cmd/{folders[0]}" if len(folders) == 1 and not files.has("main.go") else "."
