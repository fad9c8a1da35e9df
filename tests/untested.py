"""Tests that need programs which not every machine has: they are skipped, and the end of the run lists them."""

from typing import NoReturn, TypeVar

import pytest

T = TypeVar("T")
_reasons: set[str] = set()


def untested(what: str, reason: str) -> NoReturn:
    """Skip the test, and list it at the end of the run."""
    _reasons.add(f"{what}: {reason}")
    pytest.skip(reason)


def there(found: T | None, what: str, missing: str) -> T:
    """Return what was found, such as a program; without it the tests of `what` are skipped."""
    return untested(what, missing) if found is None else found


def say_untested(reporter: pytest.TerminalReporter) -> None:
    """List the tests that did not run and why, also in a run without -rs."""
    if _reasons:
        reporter.section("NOT EVERYTHING WAS TESTED", red=True, bold=True)
    for reason in sorted(_reasons):
        reporter.line(reason)
