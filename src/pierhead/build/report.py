"""What a JUnit report says. Pure.

Source: the schema that Ant's JUnit task, pytest, Maven Surefire, Jest and Go's tools agree on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as Xml

from pierhead.kit import errors

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Report:
    passed: int
    failed: int
    """With those that ended by an error of their own."""
    skipped: int
    failures: Sequence[str]
    """The names of the first that failed."""

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def read(text: bytes) -> Report:
    """Raises: Invalid (it is no JUnit report)."""
    if b"<!" in text.replace(b"<![CDATA[", b"").replace(b"<!--", b""):  # no definitions: nothing to expand
        raise errors.Invalid("The report defines entities of its own.")
    try:
        root = Xml.fromstring(text)  # noqa: S314 - without definitions there is nothing to attack with
    except Xml.ParseError as error:
        raise errors.Invalid(f"The report is no XML: {error}") from None
    cases = list(root.iter("testcase"))
    if root.tag not in ("testsuites", "testsuite"):
        raise errors.Invalid(f"The report begins with <{root.tag}>, and a JUnit report with <testsuites>.")
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    names = [f"{case.get('classname', '')}.{case.get('name', '')}".strip(".") for case in failed[:_MOST_NAMED]]
    return Report(len(cases) - len(failed) - skipped, len(failed), skipped, names)
