"""An AWS on this machine, and the templates that the CDK writes with Node.js; what is not there is said loudly."""

import importlib
import shutil
from collections.abc import Iterator

import pytest

from tests.aws import Aws

MISSING = "the Lambda stack was not tested: install Node.js, version 20 or later, which the CDK runs on"
_skipped: set[str] = set()


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    """An account with nothing in it."""
    with pytest.MonkeyPatch.context() as patch:
        aws = Aws()
        for name, value in aws.environment().items():
            patch.setenv(name, value)
        aws.connect()
        yield aws
        aws.reset()
        aws.stop()


@pytest.fixture(scope="session")
def synthesise(tmp_path_factory):
    """Makes the template of a stack with the context values given."""
    if shutil.which("node") is None:
        _skipped.add(MISSING)
        pytest.skip(MISSING)
    import aws_cdk
    from aws_cdk.assertions import Template

    context, stack = (importlib.import_module(f"infra.lambda.{name}") for name in ("context", "stack"))

    def synthesise(**given: object) -> Template:
        app = aws_cdk.App(outdir=str(tmp_path_factory.mktemp("cdk")))
        return Template.from_stack(stack.LarderStack(app, "Larder", context.read_context(given)))

    return synthesise


@pytest.fixture(scope="session")
def needed():
    """Skips, loudly, a test that needs programs which are not there."""

    def needed(*programs: str) -> None:
        missing = [program for program in programs if shutil.which(program) is None]
        if missing:
            _skipped.add(f"a push to a registry was not tested: install {', '.join(missing)}")
            pytest.skip(f"{', '.join(missing)}: not there")

    return needed


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not tested is said in full, also in a run without -rs."""
    for reason in _skipped:
        terminalreporter.section("NOT TESTED", red=True, bold=True)
        terminalreporter.line(reason)
