"""The programs that infra is tested with; where one is not there, that is said loudly."""

import importlib
import shutil
from collections.abc import Iterator

import pytest

from tests.aws import Aws
from tests.door import MISSING as NO_NGINX
from tests.door import find_nginx
from tests.untested import there, untested

NO_NODE = "Node.js is not there, which the CDK runs on: install version 20 or later"
NO_PROMTOOL = "promtool is not there: install it, with `apt-get install prometheus` for instance"


@pytest.fixture(scope="session")
def nginx() -> str:
    return there(find_nginx(), "the door", NO_NGINX)


@pytest.fixture(scope="session")
def promtool() -> str:
    return there(shutil.which("promtool"), "what Prometheus reads", NO_PROMTOOL)


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
    there(shutil.which("node"), "the CDK stack", NO_NODE)
    import aws_cdk
    from aws_cdk.assertions import Template

    context, stack = (importlib.import_module(f"infra.lambda.{name}") for name in ("context", "stack"))

    def synthesise(**given: object) -> Template:
        app = aws_cdk.App(outdir=str(tmp_path_factory.mktemp("cdk")))
        return Template.from_stack(
            stack.LarderStack(app, "Larder", context.read_context({"api_keys_secret": "none"} | given))
        )

    return synthesise


@pytest.fixture(scope="session")
def needed():
    """Skips, loudly, a test that needs programs which are not there."""

    def needed(*programs: str) -> None:
        missing = [program for program in programs if shutil.which(program) is None]
        if missing:
            untested("a push to a registry", f"install {', '.join(missing)}")

    return needed
