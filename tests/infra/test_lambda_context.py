"""Context values are checked before anything is built."""

import importlib
import re
from pathlib import Path

import pytest

context = importlib.import_module("infra.lambda.context")
ROOT = Path(__file__).parents[2]


def test_strings_are_read():
    """The CDK's command line gives every value as a string."""
    given = {"memory": "4096", "architecture": "amd64", "provisioned_concurrency": "2", "api_keys_secret": "none"}
    read = context.read_context(given)
    assert (read.memory, read.architecture, read.provisioned_concurrency) == (4096, "amd64", 2)
    assert (read.bundle, read.timeout, read.pantry) == ("larder-small", 29, "none")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("memory", "4", "greater than or equal to 512"),
        ("memory", "much", "integer"),
        ("timeout", "60", "less than or equal to 29"),
        ("architecture", "riscv", "'arm64' or 'amd64'"),
        ("bundle", "huge", "larder-small"),
        ("pantry", "sqlite", "none or firestore://PROJECT/COLLECTION"),
        ("api_keys_secret", "", "the name of a secret with keys, or none for a service that is open to all"),
        ("provisioned_concurrency", "-1", "greater than or equal to 0"),
    ],
)
def test_a_wrong_value_is_one_line(name, value, allowed):
    """The line names the value, what was found and what is allowed."""
    with pytest.raises(SystemExit) as raised:
        context.read_context({"api_keys_secret": "none"} | {name: value})
    message = str(raised.value)
    assert message.startswith(f"-c {name}={value}: ")
    assert allowed in message
    assert "\n" not in message


def test_an_open_service_has_to_be_asked_for():
    """Where nothing is said of keys there is no stack."""
    with pytest.raises(SystemExit, match="-c api_keys_secret=: the name of a secret"):
        context.read_context({})


def test_every_value_is_in_the_readme():
    """Names, defaults and descriptions there are those of the code."""
    readme = (ROOT / "infra/lambda/README.md").read_text()
    for name, field in context.Context.model_fields.items():
        default = f"`{field.default}`" if field.default != "" else "empty"
        assert f"| `{name}` | {default} | {field.description} |" in readme


def test_the_image_is_made_of_what_is_there():
    """Every path that the Dockerfile copies exists, and is let through by its list of what is ignored."""
    dockerfile = (ROOT / "infra/lambda/Dockerfile").read_text().replace("${BUNDLE}", "larder-small")
    ignored = (ROOT / "infra/lambda/Dockerfile.dockerignore").read_text().splitlines()
    lines = re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE)
    for source in " ".join(lines).split():
        assert (ROOT / source).exists()
        assert any(f"{source}/".startswith(line[1:].rstrip("/") + "/") for line in ignored if line[0] == "!")
