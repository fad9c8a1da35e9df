"""Roll an image out on ECS: register a revision, update the service, wait, report a failure, roll back."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.aws.config import Config, ServiceConfig
from infra.aws.task import log_group, task_definition

ALARMS = ("errors", "unreached", "unhealthy", "slow")
LINES = 10  # of a failed task's log


class RollError(Exception):
    """A rollout that failed, with its reasons."""


def one_line(error: Exception) -> str:
    """Return AWS's message without line breaks."""
    return " ".join(str(error).split())


@dataclass(frozen=True)
class Patience:
    """How long to wait for ECS and how often to poll, in seconds."""

    limit_s: float = 900
    pause_s: float = 5
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Roller:
    """The service of one configuration."""

    def __init__(self, session: Any, config: Config, service: ServiceConfig, patience: Patience = Patience()) -> None:
        """Create the clients of a boto3 session."""
        self._ecs, self._logs = session.client("ecs"), session.client("logs")
        self._cloudwatch = session.client("cloudwatch")
        self._region = session.region_name
        self._config, self._options = config, service
        self._service = {"cluster": config.name, "service": config.name}
        self._patience = patience

    def roll(self, image: str) -> None:
        """Deploy an image; rolls back from a revision that does not become healthy. Raises RollError."""
        before = self.describe()["taskDefinition"]
        after = self._register(image, before)
        if trouble := self._wait(self._update(taskDefinition=after)):
            name = before.rpartition("/")[2]
            try:
                self._update(taskDefinition=before)  # has no effect if ECS's circuit breaker was first
            except (BotoCoreError, ClientError) as error:
                raise RollError(f"{trouble}, and going back to {name} failed: {one_line(error)}") from error
            raise RollError("\n".join([f"{trouble}; {name} runs again", *self._reasons(after)]))

    def renew(self) -> None:
        """Replace all tasks by new ones, which read the current secrets. Raises RollError."""
        revision = self.describe()["taskDefinition"]
        if trouble := self._wait(self._update(forceNewDeployment=True)):
            raise RollError("\n".join([trouble, *self._reasons(revision)]))

    def describe(self) -> dict[str, Any]:
        """Return ECS's description of the service. Raises RollError if it does not exist."""
        try:
            found = self._ecs.describe_services(cluster=self._config.name, services=[self._config.name])["services"]
        except self._ecs.exceptions.ClusterNotFoundException:
            found = []
        if not found or found[0]["status"] != "ACTIVE":
            raise RollError(f"the service {self._config.name} is not there: `make deploy IMAGE=...` makes it")
        service: dict[str, Any] = found[0]
        return service

    def image(self) -> str:
        """Return the deployed image. Raises RollError if there is no service."""
        return str(self._revision(self.describe()["taskDefinition"])["containerDefinitions"][0]["image"])

    def status(self) -> tuple[bool, list[str]]:
        """Return whether the service is healthy, and a summary of a few lines."""
        service = self.describe()
        rollouts = [each.get("rolloutState", "COMPLETED") for each in service["deployments"]]
        names = [f"{self._config.name}-{name}" for name in ALARMS]
        alarms = self._cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
        ringing = [alarm["AlarmName"] for alarm in alarms if alarm["StateValue"] == "ALARM"]
        running, desired = service["runningCount"], service["desiredCount"]
        lines = [
            f"image     {self.image()}",
            f"tasks     {running} of {desired} run, revision {service['taskDefinition'].rpartition('/')[2]}",
            f"rollouts  {', '.join(rollouts)}",
            f"alarms    {', '.join(ringing) or 'none'}",
            *(f"event     {event['message']}" for event in service["events"][:3]),
        ]
        return rollouts == ["COMPLETED"] and running >= desired and not ringing, lines

    def log(self, minutes: float) -> list[str]:
        """Return the log lines of the last minutes, of all tasks."""
        start = int((time.time() - 60 * minutes) * 1000)
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=log_group(self._config), startTime=start
        )
        return [event["message"] for page in pages for event in page["events"]]

    def _register(self, image: str, before: str) -> str:
        """Register infra/ecs-task.json with the roles and secrets of the current revision, which the stack created."""
        running = self._revision(before)
        definition = task_definition(
            self._config,
            self._options,
            region=self._region,
            image=image,
            execution_role=running["executionRoleArn"],
            task_role=running["taskRoleArn"],
            secrets={each["name"]: each["valueFrom"] for each in running["containerDefinitions"][0]["secrets"]},
        )
        tags = [{"key": "larder:stack", "value": self._config.name}]
        made = self._ecs.register_task_definition(**definition, tags=tags)
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def _revision(self, arn: str) -> dict[str, Any]:
        revision: dict[str, Any] = self._ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
        return revision

    def _update(self, **changes: Any) -> str:
        """Start a deployment; returns its id."""
        deployments = self._ecs.update_service(**self._service, **changes)["service"]["deployments"]
        return next(str(each["id"]) for each in deployments if each["status"] == "PRIMARY")

    def _wait(self, deployment: str) -> str:
        """Wait until a deployment has ended; returns the failure, or an empty string."""
        deadline = self._patience.clock() + self._patience.limit_s
        while True:
            found = {each["id"]: each for each in self.describe()["deployments"]}
            state = found[deployment]["rolloutState"] if deployment in found else "replaced by another"
            if state == "COMPLETED":
                return ""
            if state != "IN_PROGRESS":
                return f"the rollout is {state}"
            if self._patience.clock() >= deadline:
                return f"the rollout has not ended after {self._patience.limit_s:g} s"
            self._patience.sleep(self._patience.pause_s)

    def _reasons(self, revision: str) -> list[str]:
        """Return why tasks of a revision ended, and the last log lines of one of them."""
        lines: list[str] = []
        try:
            lines += [f"event: {event['message']}" for event in self.describe()["events"][:3]]
            listed = self._ecs.list_tasks(cluster=self._config.name, family=self._config.name, desiredStatus="STOPPED")
            arns = listed["taskArns"][:100]
            tasks = self._ecs.describe_tasks(cluster=self._config.name, tasks=arns)["tasks"] if arns else []
            for task in [task for task in tasks if task["taskDefinitionArn"] == revision][:3]:
                (container,) = task["containers"]
                code, reason = container.get("exitCode", "none"), container.get("reason", "")
                lines.append(f"task: {task.get('stoppedReason', '')}; exit code {code} {reason}".rstrip())
                lines += self._last_words(task["taskArn"])
        except (BotoCoreError, ClientError) as error:  # report what is known
            lines.append(f"why: {one_line(error)}")
        return lines

    def _last_words(self, task: str) -> list[str]:
        stream = f"larder/larder/{task.rpartition('/')[2]}"  # as infra/ecs-task.json names them
        answer = self._logs.get_log_events(logGroupName=log_group(self._config), logStreamName=stream, limit=LINES)
        return [f"log: {event['message']}" for event in answer["events"]]
