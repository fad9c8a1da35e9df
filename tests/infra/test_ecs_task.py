"""The task file is what ECS takes, and fits the service."""

import json

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from app.serve import KEEP_ALIVE
from app.settings import Settings
from infra.aws.balancer import DRAIN, IDLE, PORT
from infra.aws.task import TEMPLATE, read_template


@pytest.fixture
def task():
    """The file with account and region filled in."""
    return read_template("123456789012", "eu-west-1")


def test_it_is_valid(task):
    """AWS's own description of `RegisterTaskDefinition` knows every word in it and misses none."""
    operation = Session().get_service_model("ecs").operation_model("RegisterTaskDefinition")
    report = ParamValidator().validate(task, operation.input_shape)
    assert not report.has_errors(), report.generate_report()


def test_nothing_is_left_to_fill_in(task):
    """Account and region are all that the file leaves open."""
    text = json.dumps(task)
    assert "ACCOUNT" not in text
    assert "REGION" not in text
    assert "ACCOUNT" in TEMPLATE.read_text()


def test_fargate_has_that_size(task):
    """Two processors, and the least memory that Fargate gives with them."""
    assert task["requiresCompatibilities"] == ["FARGATE"]
    assert task["networkMode"] == "awsvpc"
    assert (task["cpu"], task["memory"]) == ("2048", "4096")


def test_the_container_may_do_little(task):
    """Not root, no capabilities, nothing to write to but the data folder."""
    (container,) = task["containerDefinitions"]
    assert container["user"].split(":")[0] != "0"
    assert container["readonlyRootFilesystem"] is True
    assert container["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
    variables = {each["name"]: each["value"] for each in container["environment"]}
    (mount,) = container["mountPoints"]
    assert variables["LARDER_DATA"] == variables["TMPDIR"] == mount["containerPath"]


def test_it_is_stopped_when_it_has_drained(task):
    """SIGTERM's time covers the 503s, and the 20 seconds in which requests in progress end."""
    (container,) = task["containerDefinitions"]
    assert container["stopTimeout"] == DRAIN
    assert Settings.model_fields["drain"].default + 20 <= DRAIN


def test_the_balancer_gives_up_first():
    """A connection that nobody uses is closed by the balancer, never by the service as a request comes in."""
    assert IDLE < KEEP_ALIVE


def test_one_port_is_meant_everywhere(task):
    """The service's, the container's, the health check's and the balancer's."""
    (container,) = task["containerDefinitions"]
    variables = {each["name"]: each["value"] for each in container["environment"]}
    (mapping,) = container["portMappings"]
    assert int(variables["LARDER_PORT"]) == mapping["containerPort"] == PORT
    assert f"127.0.0.1:{PORT}/livez" in container["healthCheck"]["command"][-1]


def test_it_runs_the_image_as_the_image_is_made(task):
    """The user and the folder for data are the Dockerfile's."""
    text = (TEMPLATE.parents[1] / "Dockerfile").read_text()
    (container,) = task["containerDefinitions"]
    assert f"USER {container['user']}\n" in text
    assert [f"VOLUME {mount['containerPath']}\n" in text for mount in container["mountPoints"]] == [True]


def test_its_settings_are_settings(task):
    """Every LARDER_ variable is one that the service knows, with a value that it takes."""
    (container,) = task["containerDefinitions"]
    variables = {each["name"]: each["value"] for each in container["environment"]}
    given = {name[7:].lower(): value for name, value in variables.items() if name.startswith("LARDER_")}
    assert given.keys() <= Settings.model_fields.keys()
    Settings.model_validate(given)
    assert {each["name"][7:].lower() for each in container["secrets"]} <= Settings.model_fields.keys()
