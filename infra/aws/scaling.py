"""How many tasks run: more when each has many requests or little processor time left."""

from collections.abc import Mapping
from typing import Any

from infra.aws.cloud import Cloud
from infra.aws.resource import FINGERPRINT, STACK, Found, Resource, Wanted, fingerprint
from infra.aws.service import Service

_COMPARED = ("TargetValue", "PredefinedMetricSpecification", "ScaleOutCooldown", "ScaleInCooldown")


class Scaling(Resource):
    """The bounds of the service's tasks, and two targets that AWS tracks; the higher of both answers counts.

    It belongs to whom the service belongs. What is there is compared by itself, not by a fingerprint.
    """

    key = "scaling"

    def __init__(self, cloud: Cloud, service: Service, tasks: tuple[int, int], requests: int, cpu: int) -> None:
        """`requests` a minute and task, and `cpu` in percent, are what each task shall have."""
        self._scaling = cloud("application-autoscaling")
        self._service = service
        self._tasks = tasks
        self._requests = requests
        self._cpu = cpu
        self._what = {
            "ServiceNamespace": "ecs",
            "ResourceId": f"service/{service.name}/{service.name}",
            "ScalableDimension": "ecs:service:DesiredCount",
        }
        self.name = service.name

    def wanted(self, ids: Mapping[str, str]) -> Wanted:
        label = f"{ids['balancer'].rpartition('loadbalancer/')[2]}/{ids['targets'].rpartition(':')[2]}"
        requests = {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label}
        cpu = {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}
        return {
            "MinCapacity": self._tasks[0],
            "MaxCapacity": self._tasks[1],
            "policies": {
                f"{self.name}-requests": _tracking(self._requests, requests),
                f"{self.name}-cpu": _tracking(self._cpu, cpu),
            },
        }

    def find(self) -> Found | None:
        service = self._service.find()
        bounds = self._scaling.describe_scalable_targets(
            ServiceNamespace="ecs", ResourceIds=[self._what["ResourceId"]]
        )["ScalableTargets"]
        if service is None or not bounds:
            return None
        policies = {
            each["PolicyName"]: {key: each["TargetTrackingScalingPolicyConfiguration"].get(key) for key in _COMPARED}
            for each in self._policies()
        }
        there = {key: bounds[0][key] for key in ("MinCapacity", "MaxCapacity")} | {"policies": policies}
        tags = {STACK: service.tags.get(STACK, ""), FINGERPRINT: fingerprint(there)}
        return Found(self._what["ResourceId"], tags)

    def create(self, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        bounds = {key: wanted[key] for key in ("MinCapacity", "MaxCapacity")}
        self._scaling.register_scalable_target(**self._what, **bounds)
        for name, tracking in wanted["policies"].items():
            self._scaling.put_scaling_policy(
                PolicyName=name,
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration=tracking,
                **self._what,
            )
        return Found(self._what["ResourceId"], tags)

    def update(self, found: Found, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        return self.create(wanted, tags)

    def mark(self, found: Found, tags: Mapping[str, str]) -> None:
        pass

    def delete(self, found: Found) -> bool:
        for policy in self._policies():
            self._scaling.delete_scaling_policy(PolicyName=policy["PolicyName"], **self._what)
        self._scaling.deregister_scalable_target(**self._what)
        return True

    def _policies(self) -> list[dict[str, Any]]:
        policies: list[dict[str, Any]] = self._scaling.describe_scaling_policies(**self._what)["ScalingPolicies"]
        return policies


def _tracking(target: int, metric: dict[str, str]) -> dict[str, Any]:
    """Up within a minute, down after five."""
    return {
        "TargetValue": float(target),
        "PredefinedMetricSpecification": metric,
        "ScaleOutCooldown": 60,
        "ScaleInCooldown": 300,
    }
