"""The task definition: infra/ecs-task.json with its placeholders filled in."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.aws.config import Config, ServiceConfig

TEMPLATE = Path(__file__).parents[1] / "ecs-task.json"


def task_definition(
    config: Config,
    service: ServiceConfig,
    *,
    region: str,
    image: str,
    execution_role: str,
    task_role: str,
    secrets: Mapping[str, str],
) -> dict[str, Any]:
    """Fill in the file and return the parameters of `register_task_definition`. `secrets` are ARNs by variable."""
    task: dict[str, Any] = json.loads(TEMPLATE.read_text())
    (container,) = task["containerDefinitions"]
    task |= {"family": config.name, "executionRoleArn": execution_role, "taskRoleArn": task_role}
    task["runtimePlatform"]["cpuArchitecture"] = {"amd64": "X86_64", "arm64": "ARM64"}[service.architecture]
    variables = {each["name"]: each["value"] for each in container["environment"]} | service.settings
    container["image"] = image
    container["environment"] = [{"name": name, "value": value} for name, value in sorted(variables.items())]
    container["secrets"] = [{"name": name, "valueFrom": arn} for name, arn in secrets.items()]
    container["logConfiguration"]["options"] |= {"awslogs-group": log_group(config), "awslogs-region": region}
    return task


def log_group(config: Config) -> str:
    """Return the name of the tasks' log group."""
    return f"/ecs/{config.name}"
