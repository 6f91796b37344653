"""JUnit reports of the usual tools are read; what is none is refused."""

from __future__ import annotations

import pytest

from pierhead.build import report
from pierhead.build.report import Report
from pierhead.kit import errors

PYTEST = b"""<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="0"
failures="1" skipped="1" tests="4" time="0.1"><testcase classname="tests.test_shop" name="test_sells" time="0.001" />
<testcase classname="tests.test_shop" name="test_buys[1]"><failure message="assert 1 == 2"><![CDATA[E]]></failure>
</testcase><testcase classname="tests.test_shop" name="test_waits"><skipped type="pytest.skip"/></testcase>
<testcase classname="tests.test_shop" name="test_breaks"><error message="no"/></testcase></testsuite></testsuites>"""


def test_what_failed_is_counted_and_named() -> None:
    found = report.read(PYTEST)
    assert found == Report(1, 2, 1, ["tests.test_shop.test_buys[1]", "tests.test_shop.test_breaks"])
    assert str(found) == "1 passed, 2 failed, 1 skipped"
    assert report.read(b'<testsuite><testcase name="a"/></testsuite>').passed == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "no XML"),
        (b"not xml", "no XML"),
        (b"<html/>", "begins with <html>"),
        (b'<!DOCTYPE x [<!ENTITY a "aaa">]><testsuite>&a;</testsuite>', "entities of its own"),
    ],
)
def test_what_is_no_report_is_refused(text: bytes, reason: str) -> None:
    with pytest.raises(errors.Invalid, match=reason):
        report.read(text)
