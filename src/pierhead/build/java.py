"""The recipe of Java apps: a jar or war that is there, or what Maven makes of the commit. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from pierhead.build.ingredients import FOLDER, Dependencies, Files, Recipe, Work, procfile
from pierhead.kit import errors
from pierhead.model.app import BuildSpec

READ = ("pom.xml",)

_BUILT = re.compile(r"(?:target/|build/libs/)?[^/]+\.(?:jar|war)")
_NOT_RUN = re.compile(r"(-sources|-javadoc|-tests|-plain)\.jar$|^original-")
_LOCAL = "/opt/maven"
_MAVEN = f"mvn -B -ntp -Dmaven.repo.local={_LOCAL}"
_PACKAGE = f"{_MAVEN} -DskipTests package"
_FETCH = f"""\
mkdir -p {_LOCAL}
{_PACKAGE} -q || {_MAVEN} -q dependency:go-offline || echo 'not all could be fetched before: Maven fetches the rest'"""
"""To package nothing fetches the plugins too, and what they load; `go-offline` leaves out most of that."""
_KEEP = f"""\
set -- $(ls target/*.jar target/*.war 2>/dev/null | grep -v -E '(-sources|-javadoc|-tests)[.]jar$|/original-' || true)
test $# = 1 || {{ echo "Maven must make one jar or war in target, and there is: ${{*:-none}}" >&2; exit 1; }}
mkdir -p {FOLDER}/.run
mv "$1" {FOLDER}/.run/app.jar"""
_OPTIONS = "-XX:MaxRAMPercentage=75 -XX:+ExitOnOutOfMemoryError"
"""A container's memory is what the machine has, for the heap too."""


def built(files: Files) -> str:
    """The one jar or war of the commit; empty when there is none, or more than one."""
    found = [name for name in sorted(files.names) if _BUILT.fullmatch(name) and not _NOT_RUN.search(name)]
    return found[0] if len(found) == 1 else ""


def recipe(files: Files, spec: BuildSpec, reason: str) -> Recipe:
    """Raises: Invalid (there is nothing to run)."""
    base, env = spec.base or "java", {"JAVA_TOOL_OPTIONS": _OPTIONS}
    if files.has("pom.xml"):
        command = procfile(files) or ("java", "-jar", ".run/app.jar")
        why = "Maven packages it in a build container"
        work = Work(_script(spec), "java-build", output=".run" if not procfile(files) else "", on_dependencies=True)
        return Recipe("java", (reason, why), base, _dependencies(files), work, command, env)
    jar = built(files)
    if not jar and not procfile(files):
        raise errors.Invalid(
            "A Java app needs a pom.xml, or one jar or war that `java -jar` runs.",
            hint="Put it at the top, or into target/ or build/libs/; or say in a Procfile how web is started.",
        )
    own = Work(shlex.join(spec.command), base) if spec.command else None
    return Recipe("java", (reason,), base, work=own, command=procfile(files) or ("java", "-jar", jar), env=env)


def _script(spec: BuildSpec) -> str:
    own: Sequence[str] = [shlex.join(spec.command)] if spec.command else [_PACKAGE]
    return "\n".join([*own, _KEEP])


def _dependencies(files: Files) -> Dependencies:
    """Maven's repository, for this pom.xml: it is not in the image."""
    inputs = {"pom.xml": files.contents.get("pom.xml", b"")}
    return Dependencies("pom.xml", inputs, _FETCH, _LOCAL, "java-build", is_in_image=False)
