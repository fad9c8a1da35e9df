"""The way in: a load balancer with the group of its targets."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from infra.aws.cloud import Cloud, code
from infra.aws.network import Network
from infra.aws.resource import Found, Resource, Wanted, pairs, unpaired

PORT = 8080  # of the service in its task: one that needs no rights
DRAIN = 30  # seconds in which the service finishes its requests
IDLE = 65  # seconds; a request may take 60


class Tagged(Resource):
    """What the balancer's service tags alike."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        self._elb = cloud("elbv2")
        self.name = name

    def found(self, arn: str) -> Found:
        (described,) = self._elb.describe_tags(ResourceArns=[arn])["TagDescriptions"]
        return Found(arn, unpaired(described["Tags"]))

    def mark(self, found: Found, tags: Mapping[str, str]) -> None:
        self._elb.add_tags(ResourceArns=[found.id], Tags=pairs(tags))


class Balancer(Tagged):
    """An application load balancer, open to the internet as far as its security group lets in."""

    key = "balancer"
    whole = False

    def __init__(self, cloud: Cloud, name: str, network: Network) -> None:
        super().__init__(cloud, name)
        self._network = network

    def wanted(self, ids: Mapping[str, str]) -> Wanted:
        return {
            "Subnets": sorted(self._network.subnets),
            "SecurityGroups": [ids["balancer-group"]],
            "Attributes": {
                "idle_timeout.timeout_seconds": str(IDLE),
                "routing.http.drop_invalid_header_fields.enabled": "true",
            },
        }

    def find(self) -> Found | None:
        balancer = self._describe()
        return self.found(balancer["LoadBalancerArn"]) if balancer else None

    def create(self, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        made = self._elb.create_load_balancer(
            Name=self.name,
            Subnets=wanted["Subnets"],
            SecurityGroups=wanted["SecurityGroups"],
            Scheme="internet-facing",
            Type="application",
            Tags=pairs(tags),
        )
        return Found(made["LoadBalancers"][0]["LoadBalancerArn"], tags)

    def update(self, found: Found, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        self._elb.set_subnets(LoadBalancerArn=found.id, Subnets=wanted["Subnets"])
        self._elb.set_security_groups(LoadBalancerArn=found.id, SecurityGroups=wanted["SecurityGroups"])
        attributes = pairs(wanted["Attributes"])
        self._elb.modify_load_balancer_attributes(LoadBalancerArn=found.id, Attributes=attributes)
        return found

    def delete(self, found: Found) -> bool:
        self._elb.delete_load_balancer(LoadBalancerArn=found.id)
        return True

    def pending(self) -> str:
        balancer = self._describe()
        state = balancer["State"]["Code"] if balancer else "absent"
        return "" if state == "active" else state

    def address(self) -> str:
        """Its name in the DNS; empty when it is not there."""
        balancer = self._describe()
        return balancer["DNSName"] if balancer else ""

    def _describe(self) -> dict[str, Any] | None:
        return describe_balancer(self._elb, self.name)


class Targets(Tagged):
    """The tasks that get requests: those whose `GET /` answers 200."""

    key = "targets"
    whole = False

    def __init__(self, cloud: Cloud, name: str, vpc: str) -> None:
        super().__init__(cloud, name)
        self._vpc = vpc

    def wanted(self, ids: Mapping[str, str]) -> Wanted:
        return {
            "VpcId": self._vpc,
            "Health": {
                "HealthCheckPath": "/",
                "HealthCheckIntervalSeconds": 10,
                "HealthCheckTimeoutSeconds": 5,
                "HealthyThresholdCount": 2,
                "UnhealthyThresholdCount": 3,
                "Matcher": {"HttpCode": "200"},
            },
            "Attributes": {
                "deregistration_delay.timeout_seconds": str(DRAIN),
                "load_balancing.algorithm.type": "least_outstanding_requests",
            },
        }

    def find(self) -> Found | None:
        group = self._describe()
        return self.found(group["TargetGroupArn"]) if group else None

    def create(self, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        made = self._elb.create_target_group(
            Name=self.name,
            Protocol="HTTP",
            Port=PORT,
            VpcId=wanted["VpcId"],
            TargetType="ip",
            Tags=pairs(tags),
            **wanted["Health"],
        )
        return Found(made["TargetGroups"][0]["TargetGroupArn"], tags)

    def update(self, found: Found, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        self._elb.modify_target_group(TargetGroupArn=found.id, **wanted["Health"])
        attributes = pairs(wanted["Attributes"])
        self._elb.modify_target_group_attributes(TargetGroupArn=found.id, Attributes=attributes)
        return found

    def delete(self, found: Found) -> bool:
        """A listener that has just gone holds it for a moment more."""
        try:
            self._elb.delete_target_group(TargetGroupArn=found.id)
        except ClientError as error:
            if code(error) == "ResourceInUse":
                return False
            raise
        return True

    def vpc(self) -> str:
        """The VPC that it stands in, and cannot leave; empty when it is not there."""
        group = self._describe()
        return group["VpcId"] if group else ""

    def _describe(self) -> dict[str, Any] | None:
        try:
            (group,) = self._elb.describe_target_groups(Names=[self.name])["TargetGroups"]
        except ClientError as error:
            if code(error) == "TargetGroupNotFound":
                return None
            raise
        described: dict[str, Any] = group
        return described


def describe_balancer(elb: Any, name: str) -> dict[str, Any] | None:
    """What AWS says of the balancer of that name; None when it is not there."""
    try:
        (balancer,) = elb.describe_load_balancers(Names=[name])["LoadBalancers"]
    except ClientError as error:
        if code(error) == "LoadBalancerNotFound":
            return None
        raise
    described: dict[str, Any] = balancer
    return described
