"""An AWS in this process, for tests: moto with the stacks of the templates, and fakes for the missing parts of ECS."""

import itertools
import json
import os
import time
from types import SimpleNamespace

import boto3
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws
from moto.ecs.models import ecs_backends

from infra.aws.check import BOOTSTRAP
from infra.aws.config import parse_config
from infra.aws.roll import Patience, Roller
from infra.aws.task import task_definition

ACCOUNT, REGION = "123456789012", "us-east-1"
REPOSITORY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/larder"
FIRST, SECOND = (f"{REPOSITORY}@sha256:{digit * 64}" for digit in "ab")
CONFIG = parse_config({"service": {"cidr": ["10.0.0.0/8"]}, "function": {}})
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
TASK = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/larder/0123456789abcdef"


class Cloud:
    """An account prepared for the CDK; calls are recorded, and one of them may fail."""

    def __init__(self, patch):
        for name in set(os.environ) & {"AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL"}:
            patch.delenv(name)
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        self._mock = mock_aws()
        self._mock.start()
        self.session = boto3.Session()
        self.session.client("ssm").put_parameter(Name=BOOTSTRAP, Value="30", Type="String")
        self.session.events.register("before-call", self._before)
        self.session.events.register("after-call.ecs.UpdateService", self._updated)
        self.session.events.register("after-call.ecs.RegisterTaskDefinition", self._registered)
        self._numbers = itertools.count()
        ticks = itertools.count()
        self.roller = Roller(
            self.session, CONFIG, CONFIG.service, Patience(3, 1, lambda: next(ticks), lambda _: self._meanwhile())
        )
        self.rest()

    def rest(self):
        """No call fails, tasks come up, and none has ended."""
        self.calls, self.failing, self.outcome, self._answers = [], None, "COMPLETED", {}

    def stop(self):
        self._mock.stop()

    def create(self, templates):
        """Create the stacks of the templates as far as moto supports them."""
        formation, secrets = self.session.client("cloudformation"), self.session.client("secretsmanager")
        arn = secrets.create_secret(Name="larder/api-keys", SecretString="first")["ARN"]
        secrets.create_secret(Name="larder-function/api-keys", SecretString="first")
        resources = templates["larder"]["Resources"]
        (name,) = [key for key, each in resources.items() if each["Type"] == "AWS::SecretsManager::Secret"]
        body = templates["larder"] | {"Resources": {key: each for key, each in resources.items() if key != name}}
        text = json.dumps(body).replace(json.dumps({"Ref": name}), json.dumps(arn))
        formation.create_stack(StackName="larder-repository", TemplateBody=json.dumps(templates["larder-repository"]))
        image = {"ParameterKey": "Image", "ParameterValue": FIRST}
        formation.create_stack(StackName="larder", TemplateBody=text, Parameters=[image])
        whole = task_definition(
            CONFIG,
            CONFIG.service,
            region=REGION,
            image=FIRST,
            execution_role=f"arn:aws:iam::{ACCOUNT}:role/larder-{REGION}-execution",
            task_role=f"arn:aws:iam::{ACCOUNT}:role/larder-{REGION}-task",
            secrets={"LARDER_API_KEYS": arn},
        )
        made = self.session.client("ecs").register_task_definition(**whole)["taskDefinition"]["taskDefinitionArn"]
        self.service.task_definition = self.service.deployments[0]["taskDefinition"] = made

    def runs(self):
        """Return the image of the service's current revision."""
        return self.revision(self.service.task_definition)["containerDefinitions"][0]["image"]

    def revision(self, name):
        return self.session.client("ecs").describe_task_definition(taskDefinition=name)["taskDefinition"]

    @property
    def service(self):
        return ecs_backends[ACCOUNT][REGION].services["larder:larder"]

    def end_a_task(self, reason, line):
        """Simulate that a task of the latest revision ended for a reason, after logging a line."""
        task = {"taskArn": TASK, "stoppedReason": reason, "containers": [{"exitCode": 1}]}
        self._answers = {"ecs:ListTasks": {"taskArns": [TASK]}, "ecs:DescribeTasks": {"tasks": [task]}}
        logs = self.session.client("logs")
        stream = {"logGroupName": "/ecs/larder", "logStreamName": f"larder/larder/{TASK.rpartition('/')[2]}"}
        if not logs.describe_log_streams(logGroupName="/ecs/larder")["logStreams"]:
            logs.create_log_stream(**stream)
        logs.put_log_events(**stream, logEvents=[{"timestamp": int(1000 * time.time()), "message": line}])
        self.calls.clear()

    def _before(self, model, **_):
        name = f"{model.service_model.service_name}:{model.name}"
        self.calls.append(name)
        if self.failing and len(self.calls) - 1 == self.failing[0]:
            if self.failing[1] == "refused":
                raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no\n right"}}, model.name)
            raise EndpointConnectionError(endpoint_url="https://ecs")
        if name in self._answers:
            return SimpleNamespace(status_code=200), self._answers[name]
        return None

    def _registered(self, parsed, **_):
        for task in self._answers.get("ecs:DescribeTasks", {}).get("tasks", []) if "taskDefinition" in parsed else []:
            task["taskDefinitionArn"] = parsed["taskDefinition"]["taskDefinitionArn"]

    def _updated(self, parsed, **_):
        """A deployment starts, unless the service already has that revision and no replacement is forced."""
        if "service" not in parsed:
            return
        primary, revision = self.service.deployments[0], self.service.task_definition
        if primary["taskDefinition"] != revision or self.outcome == "renewed":
            new = {"id": f"ecs-svc/{next(self._numbers)}", "taskDefinition": revision, "rolloutState": "IN_PROGRESS"}
            self.service.deployments = [primary | new, primary | {"status": "ACTIVE", "rolloutState": "COMPLETED"}]
        parsed["service"]["deployments"] = [dict(each) for each in self.service.deployments]

    def _meanwhile(self):
        """The new tasks come up; or they do not, and ECS's circuit breaker goes back; or nothing happens at all."""
        primary, *rest = self.service.deployments
        if self.outcome in ("COMPLETED", "renewed"):
            self.service.deployments = [primary | {"rolloutState": "COMPLETED"}]
        elif self.outcome == "FAILED":
            back = {"id": f"ecs-svc/{next(self._numbers)}", "status": "PRIMARY", "rolloutState": "IN_PROGRESS"}
            self.service.task_definition = rest[0]["taskDefinition"]
            self.service.deployments = [rest[0] | back, primary | {"status": "ACTIVE", "rolloutState": "FAILED"}]
