"""The service on ECS Fargate behind a load balancer, and a separate stack for its images, which come first."""

from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.aws.alarms import add_alarms
from infra.aws.config import Config, ServiceConfig
from infra.aws.parts import accept, allow_reading, month_of_logs, secrets_of
from infra.aws.task import log_group, task_definition

DRAIN_S = 30  # time to finish pending requests
IDLE_S = 65  # idle timeout of a connection at the balancer; a request may take 60
GRACE_S = 60  # a starting task may fail its health checks for this long
IMAGES = 20  # kept for rollbacks
IMAGE = r"^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9/_.-]+@sha256:[0-9a-f]{64}$"


class RepositoryStack(cdk.Stack):
    """The images: scanned on push, with immutable tags and a limited number kept."""

    def __init__(self, scope: Construct, config: Config) -> None:
        super().__init__(scope, f"{config.name}-repository", description="Larder's container images")
        ecr.Repository(
            self,
            "Repository",
            repository_name=config.name,
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            lifecycle_rules=[ecr.LifecycleRule(description=f"the latest {IMAGES} images", max_image_count=IMAGES)],
            removal_policy=cdk.RemovalPolicy.DESTROY,
            empty_on_delete=True,
        )


class ServiceStack(cdk.Stack):
    """Tasks behind a load balancer, with autoscaling and alarms."""

    def __init__(self, scope: Construct, config: Config, service: ServiceConfig) -> None:
        super().__init__(scope, config.name, description="Larder recognises what is in a picture")
        self._config = config
        self._options = service
        self._image = cdk.CfnParameter(
            self, "Image", allowed_pattern=IMAGE, description="REPOSITORY@sha256:..., an image by its digest"
        )
        network = self._network()
        balancer = self._balancer(network)
        targets = self._targets(network, self._service(network), balancer)
        add_alarms(self, config.name, service.notify, balancer, targets)
        scheme = "https" if service.certificate else "http"
        cdk.CfnOutput(self, "Url", value=f"{scheme}://{balancer.load_balancer_dns_name}")

    def _network(self) -> ec2.IVpc:
        """Use the configured VPC, or create one with two zones and only public subnets, which costs nothing."""
        if self._options.vpc:
            return ec2.Vpc.from_vpc_attributes(
                self, "Vpc", vpc_id=self._options.vpc, availability_zones=self.availability_zones
            )
        public = ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC)
        vpc = ec2.Vpc(self, "Vpc", max_azs=2, nat_gateways=0, subnet_configuration=[public])
        accept(
            vpc,
            "AwsSolutions-VPC7",
            "Only the balancer reaches the tasks, and they log each request: flow logs add no caller",
        )
        return vpc

    def _subnets(self, ids: tuple[str, ...], which: str) -> ec2.SubnetSelection:
        if not self._options.vpc:
            return ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC)
        found = [ec2.Subnet.from_subnet_id(self, f"{which}{number}", each) for number, each in enumerate(ids)]
        return ec2.SubnetSelection(subnets=found)

    def _balancer(self, network: ec2.IVpc) -> elb.ApplicationLoadBalancer:
        group = ec2.SecurityGroup(
            self, "BalancerGroup", vpc=network, allow_all_outbound=False, description="Larder: who may call"
        )
        for cidr in self._options.cidr:
            for port in (80, 443) if self._options.certificate else (80,):
                group.add_ingress_rule(ec2.Peer.ipv4(str(cidr)), ec2.Port.tcp(port), "callers of the configuration")
        accept(group, "AwsSolutions-EC23", "Open to the internet only where `cidr` in the configuration says so")
        balancer = elb.ApplicationLoadBalancer(
            self,
            "Balancer",
            vpc=network,
            vpc_subnets=self._subnets(self._options.subnets, "BalancerSubnet"),
            internet_facing=True,
            security_group=group,
            idle_timeout=cdk.Duration.seconds(IDLE_S),
            drop_invalid_header_fields=True,
        )
        accept(
            balancer, "AwsSolutions-ELB2", "The service logs each request; what the balancer refuses is in its metrics"
        )
        return balancer

    def _role(self, kind: str) -> iam.Role:
        """Create a role that only tasks of this account and region may assume."""
        return iam.Role(
            self,
            f"{kind.capitalize()}Role",
            role_name=f"{self._config.name}-{self.region}-{kind}",  # Google's configuration names the task's role
            assumed_by=iam.ServicePrincipal(
                "ecs-tasks.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": self.account},
                    "ArnLike": {"aws:SourceArn": f"arn:{self.partition}:ecs:{self.region}:{self.account}:*"},
                },
            ),
        )

    def _task(self) -> ecs.FargateTaskDefinition:
        """Create the task definition of infra/ecs-task.json: its containers replace the one that the balancer needs."""
        execution, role = self._role("execution"), self._role("task")
        variables = secrets_of(self, self._config.api_keys, self._options.google_credentials)
        month_of_logs(self, "Log", log_group(self._config)).grant_write(execution)
        ecr.Repository.from_repository_name(self, "Repository", self._config.name).grant_pull(execution)
        accept(
            execution,
            "AwsSolutions-IAM5[Resource::*]",
            "AWS knows no resource for ecr:GetAuthorizationToken, which is the same for all repositories",
        )
        for secret in variables.values():
            secret.grant_read(execution)
        allow_reading(role, self._options.settings)
        file = task_definition(
            self._config,
            self._options,
            region=self.region,
            image=self._image.value_as_string,
            execution_role=execution.role_arn,
            task_role=role.role_arn,
            secrets={name: secret.secret_arn for name, secret in variables.items()},
        )
        task = ecs.FargateTaskDefinition(self, "Task", execution_role=execution, task_role=role)
        (container,) = file["containerDefinitions"]
        task.add_container(
            container["name"],
            image=ecs.ContainerImage.from_registry(container["image"]),
            port_mappings=[ecs.PortMapping(container_port=each["containerPort"]) for each in container["portMappings"]],
        )
        resource = cast(ecs.CfnTaskDefinition, task.node.default_child)
        resource.family, resource.cpu, resource.memory = file["family"], file["cpu"], file["memory"]
        resource.container_definitions, resource.volumes = file["containerDefinitions"], file["volumes"]
        resource.runtime_platform = file["runtimePlatform"]
        accept(task, "AwsSolutions-ECS2", "The variables are settings; what is secret comes from Secrets Manager")
        return task

    def _service(self, network: ec2.IVpc) -> ecs.FargateService:
        """Create the service with rolling updates; if new tasks do not become healthy, the old ones stay."""
        cluster = ecs.Cluster(self, "Cluster", vpc=network, cluster_name=self._config.name)
        accept(
            cluster,
            "AwsSolutions-ECS4",
            "Alarms and scaling need the balancer's and the service's metrics, which are free",
        )
        group = ec2.SecurityGroup(self, "ServiceGroup", vpc=network, description="Larder: the tasks")
        task = self._task()
        service = ecs.FargateService(
            self,
            "Service",
            cluster=cluster,
            service_name=self._config.name,
            task_definition=task,
            security_groups=[group],
            vpc_subnets=self._subnets(self._options.task_subnets or self._options.subnets, "TaskSubnet"),
            assign_public_ip=not self._options.task_subnets,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            min_healthy_percent=100,
            max_healthy_percent=200,
            health_check_grace_period=cdk.Duration.seconds(GRACE_S),
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
        )
        service.node.add_dependency(task.execution_role)  # with its policy, which the first task needs
        return service

    def _targets(
        self, network: ec2.IVpc, service: ecs.FargateService, balancer: elb.ApplicationLoadBalancer
    ) -> elb.ApplicationTargetGroup:
        """Create the target group, with health checks on `GET /`, and the autoscaling."""
        container = service.task_definition.default_container
        targets = elb.ApplicationTargetGroup(
            self,
            "Targets",
            vpc=network,
            protocol=elb.ApplicationProtocol.HTTP,
            port=container.container_port,
            target_type=elb.TargetType.IP,
            targets=[service.load_balancer_target(container_name=container.container_name)],
            deregistration_delay=cdk.Duration.seconds(DRAIN_S),
            load_balancing_algorithm_type=elb.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
            health_check=elb.HealthCheck(
                path="/",
                interval=cdk.Duration.seconds(10),
                timeout=cdk.Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=3,
                healthy_http_codes="200",
            ),
        )
        self._listen(balancer, targets)
        tasks = service.auto_scale_task_count(
            min_capacity=self._options.min_tasks, max_capacity=self._options.max_tasks
        )
        pace = {"scale_out_cooldown": cdk.Duration.minutes(1), "scale_in_cooldown": cdk.Duration.minutes(5)}
        tasks.scale_on_cpu_utilization("Cpu", target_utilization_percent=self._options.cpu, **pace)
        tasks.scale_on_request_count(
            "Requests", target_group=targets, requests_per_target=self._options.requests, **pace
        )
        return targets

    def _listen(self, balancer: elb.ApplicationLoadBalancer, targets: elb.ApplicationTargetGroup) -> None:
        """Listen on HTTPS if there is a certificate, with a redirect from HTTP; otherwise on plain HTTP."""
        if not self._options.certificate:
            balancer.add_listener("Http", port=80, open=False, default_target_groups=[targets])
            return
        balancer.add_redirect(open=False)
        balancer.add_listener(
            "Https",
            port=443,
            open=False,
            certificates=[elb.ListenerCertificate.from_arn(self._options.certificate)],
            ssl_policy=elb.SslPolicy.RECOMMENDED_TLS,
            default_target_groups=[targets],
        )
