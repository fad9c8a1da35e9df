"""What keeps the tasks running: a cluster, and the service in it."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from infra.aws.balancer import PORT
from infra.aws.cloud import Cloud, code
from infra.aws.network import Network
from infra.aws.resource import ECS, FINGERPRINT, DeployError, Found, Resource, Wanted, pairs, unpaired
from infra.aws.task import describe_task

GRACE = 60  # seconds in which a task that has just started may fail its health checks


class Cluster(Resource):
    """A name for what runs together; on Fargate it costs nothing."""

    key = "cluster"

    def __init__(self, cloud: Cloud, name: str) -> None:
        self._ecs = cloud("ecs")
        self.name = name

    def wanted(self, ids: Mapping[str, str]) -> Wanted:
        return {"clusterName": self.name}

    def find(self) -> Found | None:
        clusters = self._ecs.describe_clusters(clusters=[self.name], include=["TAGS"])["clusters"]
        active = [cluster for cluster in clusters if cluster["status"] != "INACTIVE"]
        return Found(active[0]["clusterArn"], unpaired(active[0].get("tags", []), ECS)) if active else None

    def create(self, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        return Found(self._ecs.create_cluster(**wanted, tags=pairs(tags, ECS))["cluster"]["clusterArn"], tags)

    def update(self, found: Found, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        return found  # it has nothing but its name

    def mark(self, found: Found, tags: Mapping[str, str]) -> None:
        self._ecs.tag_resource(resourceArn=found.id, tags=pairs(tags, ECS))

    def delete(self, found: Found) -> bool:
        """Tasks that are just ending hold it."""
        try:
            self._ecs.delete_cluster(cluster=found.id)
        except ClientError as error:
            if code(error) in ("ClusterContainsServicesException", "ClusterContainsTasksException"):
                return False
            raise
        return True


class Service(Resource):
    """Tasks that are replaced a few at a time; when new ones do not come up, the old ones stay.

    How many run is left to the scaling once the service is there.
    """

    key = "service"

    def __init__(self, cloud: Cloud, name: str, network: Network, tasks: int) -> None:
        self._ecs = cloud("ecs")
        self._network = network
        self._tasks = tasks
        self.name = name

    def wanted(self, ids: Mapping[str, str]) -> Wanted:
        return {
            "taskDefinition": ids["task"],
            "loadBalancers": [{"targetGroupArn": ids["targets"], "containerName": "larder", "containerPort": PORT}],
            "networkConfiguration": {
                "awsvpcConfiguration": {
                    "subnets": sorted(self._network.task_subnets),
                    "securityGroups": [ids["service-group"]],
                    "assignPublicIp": "ENABLED" if self._network.public else "DISABLED",
                }
            },
            "deploymentConfiguration": {
                "deploymentCircuitBreaker": {"enable": True, "rollback": True},
                "minimumHealthyPercent": 100,
                "maximumPercent": 200,
            },
            "healthCheckGracePeriodSeconds": GRACE,
            "propagateTags": "SERVICE",
        }

    def find(self) -> Found | None:
        """The service; without its fingerprint when its tasks did not come up, so that they are tried again."""
        service = describe_service(self._ecs, self.name, self.name)
        if service is None:
            return None
        tags = unpaired(service.get("tags", []), ECS)
        if self._trouble(service):
            tags.pop(FINGERPRINT, None)
        return Found(service["serviceArn"], tags)

    def create(self, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        made = self._ecs.create_service(
            cluster=self.name,
            serviceName=self.name,
            launchType="FARGATE",
            desiredCount=self._tasks,
            tags=pairs(tags, ECS),
            **wanted,
        )
        return Found(made["service"]["serviceArn"], tags)

    def update(self, found: Found, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        """Tasks that did not come up are tried again even where nothing else changes."""
        service = describe_service(self._ecs, self.name, self.name)
        again = service is not None and bool(self._trouble(service))
        self._ecs.update_service(cluster=self.name, service=self.name, forceNewDeployment=again, **wanted)
        return found

    def mark(self, found: Found, tags: Mapping[str, str]) -> None:
        self._ecs.tag_resource(resourceArn=found.id, tags=pairs(tags, ECS))

    def delete(self, found: Found) -> bool:
        try:
            self._ecs.delete_service(cluster=self.name, service=self.name, force=True)
        except ClientError as error:
            if code(error) != "ServiceNotActiveException":  # it is going already
                raise
        return True

    def pending(self) -> str:
        """Raises DeployError when waiting is in vain."""
        service = describe_service(self._ecs, self.name, self.name)
        if service is None:
            return "absent"
        if trouble := self._trouble(service):
            raise DeployError(f"service {self.name}: {trouble}; the log says why, and the same up tries again")
        rollouts = [each.get("rolloutState", "COMPLETED") for each in service["deployments"]]
        steady = rollouts == ["COMPLETED"] and service["runningCount"] == service["desiredCount"]
        return "" if steady else f"{service['runningCount']} of {service['desiredCount']} tasks run"

    def _trouble(self, service: Mapping[str, Any]) -> str:
        """What no waiting mends; empty when nothing."""
        latest = describe_task(self._ecs, self.name)
        running = service["taskDefinition"].rpartition("/")[2]
        if latest and latest["taskDefinition"]["taskDefinitionArn"] != service["taskDefinition"]:
            return f"{running} runs, not the latest revision, whose tasks did not come up"
        failed = any(each.get("rolloutState") == "FAILED" for each in service["deployments"])
        return f"the tasks of {running} did not come up" if failed else ""


def describe_service(ecs: Any, cluster: str, name: str) -> dict[str, Any] | None:
    """What ECS says of a service, with its tags; None when it is not there."""
    try:
        services = ecs.describe_services(cluster=cluster, services=[name], include=["TAGS"])["services"]
    except ClientError as error:
        if code(error) == "ClusterNotFoundException":
            return None
        raise
    there = [service for service in services if service["status"] != "INACTIVE"]
    return there[0] if there else None


def running_image(ecs: Any, stack: str) -> tuple[str, str] | None:
    """The tag of the image that the stack's service runs, with its architecture; None when there is no service."""
    service = describe_service(ecs, stack, stack)
    task = describe_task(ecs, service["taskDefinition"]) if service else None
    if task is None:
        return None
    definition = task["taskDefinition"]
    (container,) = definition["containerDefinitions"]
    architecture = {"X86_64": "amd64", "ARM64": "arm64"}[definition["runtimePlatform"]["cpuArchitecture"]]
    return container["image"].rpartition(":")[2], architecture
