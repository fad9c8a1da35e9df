"""Where the service stands: a VPC, its subnets, and the doors between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from infra.aws.cloud import Cloud, code
from infra.aws.resource import DeployError, Found, Resource, Wanted, pairs, unpaired

EVERYWHERE = "0.0.0.0/0"
ZONES = 3  # of the default VPC: enough to lose one, and each costs the balancer a public address


@dataclass(frozen=True)
class Network:
    """The VPC; the subnets of the balancer, and those of the tasks with whether they get public addresses."""

    vpc: str
    subnets: tuple[str, ...]
    task_subnets: tuple[str, ...]
    public: bool


NOWHERE = Network("", (), (), public=False)
"""For those who only look or delete: names suffice."""


def find_network(cloud: Cloud, subnets: Sequence[str], task_subnets: Sequence[str]) -> Network:
    """The subnets given, or some of the default VPC; raises DeployError for what no balancer can stand in."""
    if task_subnets and not subnets:
        raise DeployError("--task-subnets needs --subnets: those of the balancer")
    ec2 = cloud("ec2")
    if subnets:
        found = ec2.describe_subnets(SubnetIds=[*subnets, *task_subnets])["Subnets"]
    else:
        found = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
        found = sorted(found, key=lambda subnet: str(subnet["AvailabilityZone"]))[:ZONES]
        subnets = [subnet["SubnetId"] for subnet in found]
    vpcs = {subnet["VpcId"] for subnet in found}
    zones = {subnet["AvailabilityZone"] for subnet in found if subnet["SubnetId"] in subnets}
    if len(vpcs) != 1:
        raise DeployError(f"subnets of {len(vpcs)} VPCs were found; --subnets names those of one")
    if len(zones) < 2:
        raise DeployError(f"subnets in {len(zones)} availability zone were found; a load balancer needs two")
    return Network(vpcs.pop(), tuple(subnets), tuple(task_subnets or subnets), not task_subnets)


class SecurityGroup(Resource):
    """Who may come in, at which TCP ports; everything may go out, as AWS has it."""

    whole = False

    def __init__(self, cloud: Cloud, key: str, name: str, vpc: str, doors: Mapping[int, Sequence[str]]) -> None:
        """`doors` says for each port who may use it: CIDRs, or the key of another group."""
        self._ec2 = cloud("ec2")
        self._vpc = vpc
        self._doors = doors
        self.key = key
        self.name = name

    def wanted(self, ids: Mapping[str, str]) -> Wanted:
        doors = [[port, ids.get(who, who)] for port, whose in self._doors.items() for who in whose]
        return {"vpc": self._vpc, "doors": sorted(doors)}

    def find(self) -> Found | None:
        filters = [{"Name": "group-name", "Values": [self.name]}]
        if self._vpc:  # unknown to those who only look or delete
            filters.append({"Name": "vpc-id", "Values": [self._vpc]})
        groups = self._ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
        found = [Found(group["GroupId"], unpaired(group.get("Tags", []))) for group in groups]
        return max(found, key=lambda each: len(each.tags), default=None)

    def create(self, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        made = self._ec2.create_security_group(
            GroupName=self.name,
            Description="Larder",
            VpcId=self._vpc,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": pairs(tags)}],
        )
        return Found(made["GroupId"], tags)

    def update(self, found: Found, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        (group,) = self._ec2.describe_security_groups(GroupIds=[found.id])["SecurityGroups"]
        there = [rule for permission in group["IpPermissions"] for rule in _single(permission)]
        asked = [_permission(port, who) for port, who in wanted["doors"]]
        if old := [rule for rule in there if rule not in asked]:
            self._ec2.revoke_security_group_ingress(GroupId=found.id, IpPermissions=old)
        if new := [rule for rule in asked if rule not in there]:
            self._ec2.authorize_security_group_ingress(GroupId=found.id, IpPermissions=new)
        return found

    def mark(self, found: Found, tags: Mapping[str, str]) -> None:
        self._ec2.create_tags(Resources=[found.id], Tags=pairs(tags))

    def delete(self, found: Found) -> bool:
        """A balancer or a task that has just gone holds it for some minutes more."""
        try:
            self._ec2.delete_security_group(GroupId=found.id)
        except ClientError as error:
            if code(error) == "DependencyViolation":
                return False
            raise
        return True


def _permission(port: int, who: str) -> dict[str, Any]:
    whom: dict[str, Any] = {"UserIdGroupPairs": [{"GroupId": who}]}
    if not who.startswith("sg-"):
        whom = {"IpRanges": [{"CidrIp": who}]}
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **whom}


def _single(permission: dict[str, Any]) -> list[dict[str, Any]]:
    """A permission as AWS gives it, for many at once, as permissions for one each."""
    ports = {key: permission[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in permission}
    whom = {
        "IpRanges": ["CidrIp"],
        "Ipv6Ranges": ["CidrIpv6"],
        "PrefixListIds": ["PrefixListId"],
        "UserIdGroupPairs": ["GroupId"],
    }
    return [
        ports | {kind: [{key: each[key] for key in keys}]}
        for kind, keys in whom.items()
        for each in permission.get(kind, [])
    ]
