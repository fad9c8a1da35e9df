"""All that is in an account, of every kind that a stack has, with its tags; what is random is made alike."""

import json
import re
from typing import Any

from infra.aws.cloud import Cloud

RANDOM = [
    (r"\b(sg|vpc|subnet)-[0-9a-f]{8,}", r"\1-X"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"(secret:[a-z/-]+)-[A-Za-z0-9]{6}\b", r"\1-X"),
    (r"(scalable-target/)[a-z0-9]+", r"\1X"),
    (r"/[0-9a-f]{16}\b", "/X"),
    (r'"[0-9a-f]{16}"', '"FINGERPRINT"'),
    (r"\bAROA[A-Z0-9]+", "AROA"),
    (r"larder-\d+\.us", "larder-N.us"),
    (r"\b1[0-9]{12}\b", "0"),  # a time in milliseconds
]


def inventory(cloud: Cloud) -> dict[str, list[str]]:
    """What there is, by kind; kinds of which there is nothing are left out."""
    parts = (_registry, _logs, _secrets, _roles, _groups, _balancing, _tasks, _scaling, _alarms)
    text = json.dumps({key: value for part in parts for key, value in part(cloud).items()}, default=_alike)
    for pattern, name in RANDOM:
        text = re.sub(pattern, name, text)
    return {kind: [json.dumps(each) for each in _sorted(found)] for kind, found in json.loads(text).items() if found}


def _sorted(value: Any) -> Any:
    """Lists and keys in one order, however deep they are."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return sorted(map(_sorted, value), key=json.dumps) if isinstance(value, list) else value


def _alike(value: object) -> str:
    """Times, the one thing that JSON does not know, differ from run to run."""
    return "time"


def _registry(cloud: Cloud) -> dict[str, list[Any]]:
    ecr = cloud("ecr")
    repositories = ecr.describe_repositories()["repositories"]
    names = [each["repositoryName"] for each in repositories]
    arns = [each["repositoryArn"] for each in repositories]
    return {
        "repositories": repositories,
        "repository tags": [ecr.list_tags_for_resource(resourceArn=arn)["tags"] for arn in arns],
        "images": [image for name in names for image in ecr.describe_images(repositoryName=name)["imageDetails"]],
    }


def _logs(cloud: Cloud) -> dict[str, list[Any]]:
    logs = cloud("logs")
    groups = logs.describe_log_groups()["logGroups"]
    arns = [group["arn"].removesuffix(":*") for group in groups]
    return {"logs": groups, "log tags": [logs.list_tags_for_resource(resourceArn=arn)["tags"] for arn in arns]}


def _secrets(cloud: Cloud) -> dict[str, list[Any]]:
    secrets = cloud("secretsmanager")
    there = secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"]
    values = [secrets.get_secret_value(SecretId=each["ARN"])["SecretString"] for each in there]
    kept = [{key: each.get(key) for key in ("Name", "Tags")} for each in there]
    return {"secrets": kept, "values": values}


def _roles(cloud: Cloud) -> dict[str, list[Any]]:
    iam = cloud("iam")
    names = [role["RoleName"] for role in iam.list_roles()["Roles"]]
    policies = [(name, policy) for name in names for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]]
    return {
        "roles": [iam.get_role(RoleName=name)["Role"] for name in names],
        "policies": [iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"] for name, each in policies],
    }


def _groups(cloud: Cloud) -> dict[str, list[Any]]:
    groups = cloud("ec2").describe_security_groups()["SecurityGroups"]
    return {"groups": [group for group in groups if group["GroupName"] != "default"]}


def _balancing(cloud: Cloud) -> dict[str, list[Any]]:
    elb = cloud("elbv2")
    balancers, targets = elb.describe_load_balancers()["LoadBalancers"], elb.describe_target_groups()["TargetGroups"]
    arns = [each["LoadBalancerArn"] for each in balancers]
    groups = [each["TargetGroupArn"] for each in targets]
    listeners = [each for arn in arns for each in elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]]
    tagged = [*arns, *groups, *(each["ListenerArn"] for each in listeners)]
    return {
        "balancers": balancers,
        "targets": targets,
        "listeners": listeners,
        "balancer attributes": [
            elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"] for arn in arns
        ],
        "target attributes": [elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"] for arn in groups],
        "balancing tags": elb.describe_tags(ResourceArns=tagged)["TagDescriptions"] if tagged else [],
    }


def _tasks(cloud: Cloud) -> dict[str, list[Any]]:
    """AWS keeps clusters and services that were deleted for a while, as INACTIVE; moto miscounts a cluster's tasks."""
    ecs = cloud("ecs")
    there = ecs.describe_clusters(clusters=ecs.list_clusters()["clusterArns"], include=["TAGS"])["clusters"]
    clusters = [each for each in there if each["status"] != "INACTIVE"]
    named = [(each["clusterArn"], ecs.list_services(cluster=each["clusterArn"])["serviceArns"]) for each in clusters]
    services = [
        {key: value for key, value in service.items() if key not in ("deployments", "events")}
        for cluster, names in named
        for name in names
        for service in ecs.describe_services(cluster=cluster, services=[name], include=["TAGS"])["services"]
        if service["status"] != "INACTIVE"
    ]
    arns = [
        arn for state in ("ACTIVE", "INACTIVE") for arn in ecs.list_task_definitions(status=state)["taskDefinitionArns"]
    ]
    tasks = [ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"]) for arn in arns]
    definitions = [[task["taskDefinition"], task["tags"]] for task in tasks]
    kept = [{key: each.get(key) for key in ("clusterName", "tags")} for each in clusters]
    return {"clusters": kept, "services": services, "tasks": definitions}


def _scaling(cloud: Cloud) -> dict[str, list[Any]]:
    scaling = cloud("application-autoscaling")
    return {
        "scaling": scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"],
        "scaling policies": scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"],
    }


def _alarms(cloud: Cloud) -> dict[str, list[Any]]:
    """Without those that AWS makes for the scaling itself: moto makes them anew whenever a policy is put."""
    cloudwatch = cloud("cloudwatch")
    there = cloudwatch.describe_alarms()["MetricAlarms"]
    alarms = [alarm for alarm in there if not alarm["AlarmName"].startswith("TargetTracking-")]
    arns = [alarm["AlarmArn"] for alarm in alarms]
    return {
        "alarms": alarms,
        "alarm tags": [cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] for arn in arns],
    }
