"""The settings of this process: the file, then `PIER_*` variables, then flags. All mistakes are told at once."""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pierhead.kit import errors
from pierhead.kit.errors import Problem
from pierhead.settings import Settings, describe, values
from pierhead.settings.check import Value, check, nearest
from pierhead.settings.describe import Setting

SYSTEM_FILE = Path("/etc/pierhead/pier.toml")
FILE_NAME = "pier.toml"
_PREFIX = "PIER_"

_HEADER = re.compile(r"\s*\[\s*([A-Za-z0-9_.-]+)\s*\]")


def load(file: Path | None, environ: Mapping[str, str], flags: Mapping[str, str]) -> Settings:
    """The settings that hold. `flags` are texts by key (`gateway.http_port`). An empty variable counts as not set.

    `file` None: PIER_CONFIG, else `pier.toml` in the data folder, else /etc/pierhead/pier.toml, else none.
    Raises: Invalid (every wrong value, unknown key and unknown variable), NotFound (a file that was named),
    Denied (it may not be read). What `catalog.token_file` holds is `catalog.token`.
    """
    found = settings({key: found.value for key, found in explain(file, environ, flags).items()})
    catalog = found.catalog
    if not catalog.token_file:
        return found
    token = secret("catalog.token_file", Path(catalog.token_file))
    return dataclasses.replace(found, catalog=dataclasses.replace(catalog, token=token))


def secret(key: str, file: Path) -> str:
    """The secret that the file named by a setting holds. Raises: Invalid (there is none), NotFound, Denied."""
    if not _exists(file):
        raise errors.NotFound(f"{key}: there is no file {file}.", hint="Make it with mode 600, the secret in it.")
    text = _read(file).strip()
    if not text or len(text.split()) != 1:
        raise errors.Invalid(f"{key}: {file} must hold one secret and nothing else.")
    return text


def explain(file: Path | None, environ: Mapping[str, str], flags: Mapping[str, str]) -> Mapping[str, Value]:
    """Every setting by its key, with its origin. Raises: what `load` does."""
    problems: list[Problem] = []
    found = {key: Value(setting.default, "default") for key, setting in describe.all_settings().items()}
    path = find(file, environ, flags)
    if path:
        found |= _from_file(path, _read(path), problems)
    found |= _from_environ(environ, problems)
    found |= _from_flags(flags, problems)
    problems += check(found)
    if problems:
        raise errors.Invalid("The settings are not valid.", problems=problems, hint="`pier config example` shows all.")
    return found


def find(file: Path | None, environ: Mapping[str, str], flags: Mapping[str, str]) -> Path | None:
    """The settings file that is read, or None. Raises: NotFound, Denied."""
    named = file or (Path(environ["PIER_CONFIG"]) if environ.get("PIER_CONFIG") else None)
    if named:
        if not _exists(named):
            raise errors.NotFound(f"There is no settings file {named}.", hint="`pier config example` prints one.")
        return named
    home = Path(flags.get("home") or environ.get("PIER_HOME") or str(Settings().home))
    return next((path for path in (home / FILE_NAME, SYSTEM_FILE) if _exists(path)), None)


def settings(given: Mapping[str, Any]) -> Settings:
    """The settings with `given` by key; the rest are defaults."""
    found = Settings()
    for key, value in given.items():
        section, _, field = key.rpartition(".")
        if section:
            inner = dataclasses.replace(getattr(found, section), **{field: value})
            found = dataclasses.replace(found, **{section: inner})
        else:
            found = dataclasses.replace(found, **{field: value})
    return found


def unknown(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The variables that begin as Pierhead's do and mean nothing, each with the one it is most like, if any."""
    known = [*describe.VARIABLES, *(setting.variable for setting in describe.all_settings().values())]
    like = {name.removeprefix(_PREFIX): name for name in known}
    found = {}
    for name in sorted(name for name, text in environ.items() if text and name.startswith(_PREFIX)):
        if name not in known and not name.startswith(tuple(describe.PREFIXES)):
            close = difflib.get_close_matches(name.removeprefix(_PREFIX), like, n=1)
            found[name] = like[close[0]] if close else ""
    return found


def _from_file(path: Path, text: str, problems: list[Problem]) -> dict[str, Value]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(Problem(str(path), f"is not TOML: {error}"))
        return {}
    found = {}
    for section, field, value in _entries(document):
        key = f"{section}.{field}" if section else field
        place = f"{path}:{line_of(text, section, field)}"
        if (setting := _known(key, f"{place} {key}", problems)) is not None:
            try:
                found[key] = Value(values.typed(setting, value), place)
            except ValueError as error:
                problems.append(Problem(f"{place} {key}", str(error)))
    return found


def _entries(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for name, value in document.items():
        if name in describe.sections() and isinstance(value, dict):
            yield from ((name, field, inner) for field, inner in value.items())
        else:
            yield "", name, value


def _known(key: str, place: str, problems: list[Problem]) -> Setting | None:
    known = describe.all_settings()
    if key in known:
        return known[key]
    section = key.split(".")[0]
    if key in describe.sections():
        problems.append(Problem(place, f"is a section: write [{section}]"))
    else:
        problems.append(Problem(place, "there is no such setting", nearest(key, [*known, *describe.sections()])))
    return None


def _from_environ(environ: Mapping[str, str], problems: list[Problem]) -> dict[str, Value]:
    wrong = [
        Problem(name, "there is no such variable", f"did you mean {meant}?" if meant else "")
        for name, meant in unknown(environ).items()
    ]
    found: dict[str, Value] = {}
    for setting in describe.all_settings().values():
        if text := environ.get(setting.variable):
            _add(found, setting, text, setting.variable, wrong)
    problems += sorted(wrong, key=lambda problem: problem.place)
    return found


def _from_flags(flags: Mapping[str, str], problems: list[Problem]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for key, text in flags.items():
        if (setting := _known(key, f"flag {key}", problems)) is not None:
            _add(found, setting, text, "flag", problems)
    return found


def _add(found: dict[str, Value], setting: Setting, text: str, origin: str, problems: list[Problem]) -> None:
    try:
        found[setting.key] = Value(values.parse(setting, text), origin)
    except ValueError as error:
        place = origin if origin == setting.variable else f"{origin} {setting.key}"
        problems.append(Problem(place, str(error)))


def line_of(text: str, section: str, field: str) -> int:
    """The line that gives `field` in `[section]`; 1 when it is written in a way that is not found."""
    key = re.compile(rf"""\s*["']?{re.escape(field)}["']?\s*(=|\.)""")
    dotted = re.compile(rf"\s*{re.escape(section)}\s*\.\s*{re.escape(field)}\s*=")
    current = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            current = header[1]
            if not section and current.split(".")[0] == field:
                return number
        elif (current == section and key.match(line)) or (section and not current and dotted.match(line)):
            return number
    return 1


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError as error:
        raise _denied(path) from error


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except PermissionError as error:
        raise _denied(path) from error
    except (OSError, UnicodeDecodeError) as error:
        raise errors.Invalid(f"{path} cannot be read: {error}.") from error


def _denied(path: Path) -> errors.Denied:
    return errors.Denied(
        f"{path} may not be read by this user.",
        hint="Use root, name a file of your own with PIER_CONFIG, or set PIER_URL and PIER_TOKEN.",
    )
