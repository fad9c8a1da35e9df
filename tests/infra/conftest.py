"""The programs that infra is tested with; where one is not there, that is said loudly."""

import importlib
import shutil
from collections.abc import Iterator

import pytest

from tests.aws import Aws
from tests.door import MISSING as NO_NGINX
from tests.door import find_nginx

NO_NODE = "Node.js is not there, which the CDK runs on: install version 20 or later"
NO_PROMTOOL = "promtool is not there: install it, with `apt-get install prometheus` for instance"
_skipped: set[str] = set()


def there(program: str | None, missing: str) -> str:
    """A program that was found; without it the tests that want it are skipped."""
    if program is None:
        _skipped.add(missing)
        pytest.skip(missing)
    return program


@pytest.fixture(scope="session")
def nginx() -> str:
    return there(find_nginx(), NO_NGINX)


@pytest.fixture(scope="session")
def promtool() -> str:
    return there(shutil.which("promtool"), NO_PROMTOOL)


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
    there(shutil.which("node"), NO_NODE)
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
        terminalreporter.section("A PART OF INFRA WAS NOT TESTED", red=True, bold=True)
        terminalreporter.line(reason)
