"""The task file is valid for ECS, and fits the service."""

import json

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from app.settings import Settings
from infra.aws.config import FIXED, parse_config
from infra.aws.task import TEMPLATE, task_definition

FARGATE = {"512": range(1, 5), "1024": range(2, 9), "2048": range(4, 17), "4096": range(8, 31)}  # GB by CPU units


def by_hand():
    """The file with the values filled in by hand as docs/deploy.md describes."""
    return json.loads(TEMPLATE.read_text().replace("ACCOUNT", "123456789012").replace("REGION", "eu-west-1"))


def rolled():
    """The file with the values that a roll fills in."""
    config = parse_config({"name": "green", "service": {"cidr": ["10.0.0.0/8"], "settings": {"LARDER_DRAIN": "4"}}})
    roles = {"execution_role": "arn:aws:iam::1:role/green-execution", "task_role": "arn:aws:iam::1:role/green-task"}
    secrets = {"LARDER_API_KEYS": "arn:aws:secretsmanager:eu-west-1:1:secret:green/api-keys-AbCdEf"}
    return task_definition(config, config.service, region="eu-west-1", image="green@sha256:0", secrets=secrets, **roles)


@pytest.fixture
def container():
    (container,) = by_hand()["containerDefinitions"]
    return container


@pytest.mark.parametrize("filled", [by_hand, rolled])
def test_it_is_valid(filled):
    """AWS's own description of `RegisterTaskDefinition` knows every word in it and misses none."""
    task = filled()
    operation = Session().get_service_model("ecs").operation_model("RegisterTaskDefinition")
    report = ParamValidator().validate(task, operation.input_shape)
    assert not report.has_errors(), report.generate_report()
    text = json.dumps(task)
    assert "ACCOUNT" not in text
    assert "REGION" not in text


def test_a_roll_fills_in_what_is_its_own():
    """Name, log, image, roles, secrets and settings are the configuration's; the rest is the file's."""
    task = rolled()
    (container,) = task["containerDefinitions"]
    assert (task["family"], container["image"]) == ("green", "green@sha256:0")
    assert container["logConfiguration"]["options"]["awslogs-group"] == "/ecs/green"
    assert {"name": "LARDER_DRAIN", "value": "4"} in container["environment"]
    assert container["healthCheck"] == by_hand()["containerDefinitions"][0]["healthCheck"]


def test_fargate_has_that_size():
    """It has two processors, and the minimum memory that Fargate offers with them."""
    task = by_hand()
    assert task["requiresCompatibilities"] == ["FARGATE"]
    assert task["networkMode"] == "awsvpc"
    assert int(task["memory"]) == 1024 * FARGATE[task["cpu"]][0] == 4096


def test_the_container_may_do_little(container):
    """It does not run as root, has no capabilities, and can write only to the data folder."""
    assert container["user"].split(":")[0] != "0"
    assert container["readonlyRootFilesystem"] is True
    assert container["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
    variables = {each["name"]: each["value"] for each in container["environment"]}
    (mount,) = container["mountPoints"]
    assert variables["LARDER_DATA"] == variables["TMPDIR"] == mount["containerPath"]


def test_one_port_is_meant_everywhere(container):
    """The service, the container and the health check use the same port."""
    variables = {each["name"]: each["value"] for each in container["environment"]}
    (mapping,) = container["portMappings"]
    assert int(variables["LARDER_PORT"]) == mapping["containerPort"] == 8080
    assert "127.0.0.1:8080/livez" in container["healthCheck"]["command"][-1]


def test_it_runs_the_image_as_the_image_is_made(container):
    """The user and the folder for data are the Dockerfile's."""
    text = (TEMPLATE.parents[1] / "Dockerfile").read_text()
    assert f"USER {container['user']}\n" in text
    assert [f"VOLUME {mount['containerPath']}\n" in text for mount in container["mountPoints"]] == [True]


def test_its_settings_are_settings(container):
    """Every LARDER_ variable is one that the service knows, with a value that it takes."""
    variables = {each["name"]: each["value"] for each in container["environment"]}
    given = {name[7:].lower(): value for name, value in variables.items() if name.startswith("LARDER_")}
    assert given.keys() | {name[7:].lower() for name in FIXED} <= Settings.model_fields.keys()
    Settings.model_validate(given)
    assert {each["name"] for each in container["secrets"]} <= FIXED
