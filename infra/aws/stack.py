"""The list of all resources of one stack, each after those that it needs."""

from collections.abc import Mapping

from app.s3 import SCHEME, parse_place
from infra.aws.alarms import ALARMS, Alarm
from infra.aws.balancer import PORT, Balancer, Targets
from infra.aws.cloud import Cloud
from infra.aws.listener import Listener
from infra.aws.logs import LogGroup
from infra.aws.network import NOWHERE, Network, SecurityGroup
from infra.aws.options import Options
from infra.aws.push import Source
from infra.aws.registry import Image, Repository
from infra.aws.resource import Resource
from infra.aws.roles import Role, Statement, allow
from infra.aws.scaling import Scaling
from infra.aws.secrets import Secret, Value
from infra.aws.service import Cluster, Service
from infra.aws.task import TaskDefinition


def resources(
    cloud: Cloud,
    options: Options,
    network: Network = NOWHERE,
    tag: str = "",
    source: Source | None = None,
    secrets: Mapping[str, Value] | None = None,
) -> list[Resource]:
    """All that a stack may have; what the options do not ask for is in the list too, to be deleted."""
    stack, values = options.stack, secrets or {}
    repository = Repository(cloud, stack)
    service = Service(cloud, stack, network, options.min_tasks)
    image = [Image(cloud, repository, tag, source)] if tag else []  # images go with their repository
    doors = dict.fromkeys((80, 443) if options.certificate else (80,), options.cidr)
    return [
        repository,
        *image,
        LogGroup(cloud, f"/ecs/{stack}"),
        Secret(cloud, "api-keys", f"{stack}/api-keys", values.get("api-keys"), options.api_keys != "none"),
        Secret(
            cloud,
            "google-credentials",
            f"{stack}/google-credentials",
            values.get("google-credentials"),
            options.google_credentials != "none",
        ),
        Role(cloud, "execution-role", f"{stack}-{cloud.region}-execution", _to_start(cloud, stack)),
        Role(cloud, "task-role", f"{stack}-{cloud.region}-task", _to_run(cloud, options.settings)),
        SecurityGroup(cloud, "balancer-group", f"{stack}-balancer", network.vpc, doors),
        SecurityGroup(cloud, "service-group", f"{stack}-service", network.vpc, {PORT: ["balancer-group"]}),
        Balancer(cloud, stack, network),
        Targets(cloud, stack, network.vpc),
        Listener(cloud, stack, options.certificate, secure=True),
        Listener(cloud, stack, options.certificate, secure=False),
        Cluster(cloud, stack),
        TaskDefinition(cloud, stack, options.architecture, options.settings),
        service,
        Scaling(cloud, service, (options.min_tasks, options.max_tasks), options.requests, options.cpu),
        *(Alarm(cloud, stack, which, options.notify) for which in ALARMS),
    ]


def _to_start(cloud: Cloud, stack: str) -> list[Statement]:
    """What ECS needs to start a task: its image, its log, its secrets."""
    pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    return [
        allow(["ecr:GetAuthorizationToken"], "*"),
        allow(pull, cloud.arn("ecr", f"repository/{stack}")),
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], cloud.arn("logs", f"log-group:/ecs/{stack}:*")),
        allow(["secretsmanager:GetSecretValue"], cloud.arn("secretsmanager", f"secret:{stack}/*")),
    ]


def _to_run(cloud: Cloud, settings: Mapping[str, str]) -> list[Statement]:
    """What the service itself needs: nothing, but to read what its settings name in S3."""
    statements = []
    for name, value in settings.items():
        if not value.startswith(SCHEME):
            continue
        place = parse_place(value)
        bucket = f"arn:{cloud.partition}:s3:::{place.bucket}"
        folder = name == "LARDER_MODEL"  # the others name one object
        key = str(place.under("*") if folder else place).removeprefix(f"{SCHEME}{place.bucket}/")
        # without the right to list it, S3 says of a missing object that it is forbidden
        statements += [
            allow(["s3:GetObject"], f"{bucket}/{key}"),
            allow(["s3:ListBucket"], bucket, StringLike={"s3:prefix": key}),
        ]
    return statements
