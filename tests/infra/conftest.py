"""The programs that the tests of infra need, with a loud message for a missing one; and the CDK app's templates."""

import json
import shutil
from pathlib import Path

import pytest

from tests.reverse_proxy import MISSING as NO_NGINX
from tests.reverse_proxy import find_nginx
from tests.untested import there, untested

ROOT = Path(__file__).parents[2]
NO_NODE = "Node.js is not there, which the CDK runs on: install version 22 or later"
NO_PROMTOOL = "promtool is not there: install it, with `apt-get install prometheus` for instance"
IN_EUROPE = "eu-west-1:123456789012"
PLAIN = {"service": {"cidr": ["0.0.0.0/0"]}, "function": {}}
FULL = {
    "name": "full",
    "service": {
        "architecture": "arm64",
        "cidr": ["203.0.113.0/24", "10.0.0.0/8"],
        "certificate": f"arn:aws:acm:{IN_EUROPE}:certificate/0123",
        "vpc": "vpc-00000001",
        "subnets": ["subnet-00000001", "subnet-00000002"],
        "task_subnets": ["subnet-00000003", "subnet-00000004"],
        "min_tasks": 2,
        "max_tasks": 8,
        "requests": 600,
        "cpu": 70,
        "google_credentials": f"arn:aws:secretsmanager:{IN_EUROPE}:secret:larder/google-AbCdEf",
        "notify": f"arn:aws:sns:{IN_EUROPE}:alarms",
        "settings": {"LARDER_MODEL": "s3://pictures/models/vit", "LARDER_PANTRY": "firestore://shop/pantry"},
    },
    "function": {
        "architecture": "amd64",
        "memory": 10240,
        "timeout": 10,
        "provisioned_concurrency": 2,
        "rate": 5,
        "burst": 7,
        "google_credentials": f"arn:aws:secretsmanager:{IN_EUROPE}:secret:larder/google-AbCdEf",
        "settings": {"LARDER_LABELS": "s3://pictures/labels.txt"},
    },
}
OPEN = {"name": "open", "api_keys": "none", **PLAIN}
BARE = {
    "name": "bare",
    "function": {},
    "service": {"cidr": ["0.0.0.0/0"], "settings": {"LARDER_MODEL": "s3://pictures"}},
}


@pytest.fixture(scope="session")
def nginx() -> str:
    return there(find_nginx(), "the proxy", NO_NGINX)


@pytest.fixture(scope="session")
def promtool() -> str:
    return there(shutil.which("promtool"), "what Prometheus reads", NO_PROMTOOL)


@pytest.fixture(scope="session")
def assembly(once) -> Path:
    """The folder with the templates of all configurations above: one synthesis for all tests and all workers.

    In `bare` no finding of cdk-nag is acknowledged, so the synthesis fails, and the report lists all findings.
    """
    there(shutil.which("node"), "the CDK app", NO_NODE)
    return once("assembly", synthesise)


def synthesise(folder: Path) -> None:
    import aws_cdk
    from cdk_nag import AwsSolutionsChecks

    from infra.aws import app, config, function, parts, service

    original, accepted = parts.accept, []

    def accept(construct, finding, reason):
        if not construct.node.path.startswith("bare"):
            accepted.append((construct.node.path, finding, reason))
            original(construct, finding, reason)

    context = json.loads((ROOT / "infra/cdk.json").read_text())["context"]
    made = aws_cdk.App(outdir=str(folder), context=context)
    with pytest.MonkeyPatch.context() as patch:
        for module in (function, parts, service):
            patch.setattr(module, "accept", accept)
        for each in (PLAIN, FULL, OPEN, BARE):
            app.add_stacks(made, config.parse_config(each))
    aws_cdk.Validations.of(made).add_plugins(AwsSolutionsChecks(made))
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        made.synth()
    (folder / "accepted.json").write_text(json.dumps(accepted))


@pytest.fixture(scope="session")
def templates(assembly):
    """The template of each stack by its name."""
    return {path.name.partition(".")[0]: json.loads(path.read_text()) for path in assembly.glob("*.template.json")}


@pytest.fixture(scope="session")
def needed():
    """Skip a test, loudly, if programs that it needs are missing."""

    def needed(*programs: str) -> None:
        missing = [program for program in programs if shutil.which(program) is None]
        if missing:
            untested("a push to a registry", f"install {', '.join(missing)}")

    return needed
