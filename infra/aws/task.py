"""What runs: the task definition, made of infra/ecs-task.json."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infra.aws.cloud import Cloud, code
from infra.aws.resource import ECS, STACK, Found, Resource, Wanted, pairs, unpaired

TEMPLATE = Path(__file__).parents[1] / "ecs-task.json"
SECRETS = {"api-keys": "LARDER_API_KEYS", "google-credentials": "LARDER_GOOGLE_CREDENTIALS"}
FIXED = {"LARDER_DATA", "LARDER_HOST", "LARDER_PORT", *SECRETS.values()}
"""The settings that stay as the task file has them: others rely on them, or they are secrets."""
_MANY = 10  # deleted in one call


class TaskDefinition(Resource):
    """A family of revisions: a changed one is a new revision, and those before it stay to be gone back to."""

    key = "task"
    renewed = True

    def __init__(self, cloud: Cloud, name: str, architecture: str, settings: Mapping[str, str]) -> None:
        self._ecs = cloud("ecs")
        self._cloud = cloud
        self._architecture = architecture
        self._settings = settings
        self.name = name

    def wanted(self, ids: Mapping[str, str]) -> Wanted:
        task = read_template(self._cloud.account, self._cloud.region)
        (container,) = task["containerDefinitions"]
        task["family"] = self.name
        task["runtimePlatform"]["cpuArchitecture"] = {"amd64": "X86_64", "arm64": "ARM64"}[self._architecture]
        task["executionRoleArn"] = ids["execution-role"]
        task["taskRoleArn"] = ids["task-role"]
        container["image"] = ids["image"]
        container["environment"] = _environment(container["environment"], self._settings)
        container["secrets"] = [
            {"name": variable, "valueFrom": ids[key]} for key, variable in SECRETS.items() if key in ids
        ]
        container["logConfiguration"]["options"]["awslogs-group"] = ids["log-group"]
        return task

    def find(self) -> Found | None:
        """The latest revision; one that is not active any more is no revision to keep."""
        latest = describe_task(self._ecs, self.name)
        if latest and latest["taskDefinition"]["status"] == "ACTIVE":
            return Found(latest["taskDefinition"]["taskDefinitionArn"], unpaired(latest.get("tags", []), ECS))
        old = self._revisions("INACTIVE")
        return Found(old[-1], {STACK: self._owner(old[-1])}) if old else None

    def create(self, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        made = self._ecs.register_task_definition(**wanted, tags=pairs(tags, ECS))
        return Found(made["taskDefinition"]["taskDefinitionArn"], tags)

    def update(self, found: Found, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        return self.create(wanted, tags)

    def mark(self, found: Found, tags: Mapping[str, str]) -> None:
        pass  # a revision is registered with all its tags

    def delete(self, found: Found) -> bool:
        """All revisions that are ours: what is active is deregistered first."""
        owner = found.tags[STACK]
        for arn in self._revisions("ACTIVE"):
            if self._owner(arn) == owner:
                self._ecs.deregister_task_definition(taskDefinition=arn)
        old = [arn for arn in self._revisions("INACTIVE") if self._owner(arn) == owner]
        for start in range(0, len(old), _MANY):
            self._ecs.delete_task_definitions(taskDefinitions=old[start : start + _MANY])
        return True

    def _revisions(self, status: str) -> list[str]:
        pages = self._ecs.get_paginator("list_task_definitions").paginate(familyPrefix=self.name, status=status)
        return [arn for page in pages for arn in page["taskDefinitionArns"] if _family(arn) == self.name]

    def _owner(self, arn: str) -> str:
        described = describe_task(self._ecs, arn)
        return unpaired(described.get("tags", []), ECS).get(STACK, "") if described else ""


def read_template(account: str, region: str) -> dict[str, Any]:
    """The task file with its two words filled in."""
    text = TEMPLATE.read_text().replace("ACCOUNT", account).replace("REGION", region)
    template: dict[str, Any] = json.loads(text)
    return template


def describe_task(ecs: Any, name: str) -> dict[str, Any] | None:
    """A family's latest active revision, or the one named, with its tags; None when there is none."""
    try:
        described: dict[str, Any] = ecs.describe_task_definition(taskDefinition=name, include=["TAGS"])
    except ClientError as error:
        if code(error) == "ClientException":
            return None
        raise
    return described


def _environment(template: list[dict[str, str]], settings: Mapping[str, str]) -> list[dict[str, str]]:
    """The template's variables with those given instead or beside, by name."""
    variables = {each["name"]: each["value"] for each in template} | dict(settings)
    return [{"name": name, "value": value} for name, value in sorted(variables.items())]


def _family(arn: str) -> str:
    return arn.rpartition("/")[2].rpartition(":")[0]
