"""The CloudFormation templates: permissions, allowed callers, rolling replacement, alarms."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.serve import KEEP_ALIVE
from app.settings import Settings
from infra.aws.roll import ALARMS

pytestmark = pytest.mark.timeout(func_only=True)  # a synthesis takes half a minute of a processor
CFN_LINT = Path(sys.executable).with_name("cfn-lint")
SERVICES = ["larder", "full", "open"]
ELB = "AWS::ElasticLoadBalancingV2"


def every(template, kind):
    """The properties of all resources of a kind."""
    return [each["Properties"] for each in template["Resources"].values() if each["Type"] == kind]


def one(template, kind):
    (found,) = every(template, kind)
    return found


def by_key(pairs):
    return {each["Key"]: each["Value"] for each in pairs}


def statements(template, role):
    """Return the permissions of a role's policy: (actions, resource, condition), with joined text joined."""
    for policy in every(template, "AWS::IAM::Policy"):
        if policy["PolicyName"].startswith(role):
            return [
                (as_list(each["Action"]), joined(each["Resource"]), each.get("Condition"))
                for each in policy["PolicyDocument"]["Statement"]
            ]
    return []


def as_list(value):
    return value if isinstance(value, list) else [value]


def joined(value):
    """Return text with references as AWS joins it; other values unchanged."""
    if isinstance(value, dict) and "Fn::Join" in value:
        return "".join(part if isinstance(part, str) else f"<{part['Ref']}>" for part in value["Fn::Join"][1])
    return value


def container(template):
    (found,) = one(template, "AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    return found


# --- the rules of others


def test_the_linter_finds_nothing(assembly):
    """cfn-lint takes every template; W3005 alone is left out: the CDK itself says some dependencies twice."""
    files = sorted(map(str, assembly.glob("*.template.json")))
    assert len(files) == 12
    command = [CFN_LINT, "--regions", "eu-west-1", "--ignore-checks", "W3005", "--template", *files]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.stdout, found.returncode) == ("", 0)


def test_every_finding_of_cdk_nag_is_accepted_with_a_reason(assembly):
    """Only the stack without acknowledgements has findings: exactly those acknowledged elsewhere, with reasons."""
    reports = json.loads((assembly / "validation-report.json").read_text())["pluginReports"]
    found = [each for report in reports for each in report["violations"]]
    places = [place["constructPath"] for each in found for place in each["violatingConstructs"]]
    assert places
    assert [place for place in places if not place.startswith(("bare/", "bare-"))] == []
    accepted = json.loads((assembly / "accepted.json").read_text())
    kinds = {finding.partition("[Resource::arn:")[0] for _, finding, _ in accepted}
    assert {each["ruleName"].partition("[Resource::arn:")[0] for each in found} == kinds
    assert all(len(reason.split()) > 5 for *_, reason in accepted)


def test_no_account_is_in_the_templates(templates):
    """They were made without one: account, region and partition are filled in by AWS."""
    for name in ("larder", "larder-repository", "larder-function"):
        assert "123456789012" not in json.dumps(templates[name])
        assert "eu-west-1" not in json.dumps(templates[name])


@pytest.mark.parametrize("name", ["larder", "larder-repository", "larder-function"])
def test_everything_is_tagged(templates, name):
    """Every taggable resource has the stack's tag; tasks inherit the service's."""
    tagged = [
        each["Tags"] for each in (r["Properties"] for r in templates[name]["Resources"].values()) if "Tags" in each
    ]
    assert tagged
    for tags in tagged:
        assert (tags if isinstance(tags, dict) else by_key(tags))["larder:stack"] == "larder"
    if name == "larder":
        assert one(templates[name], "AWS::ECS::Service")["PropagateTags"] == "SERVICE"
        assert len(tagged) > 20


# --- images


def test_images_are_scanned_and_kept(templates):
    """They are scanned on push, tags are immutable, the latest 20 are kept, and all are deleted with the stack."""
    repository = one(templates["larder-repository"], "AWS::ECR::Repository")
    assert repository["RepositoryName"] == "larder"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    (rule,) = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert (rule["selection"]["countNumber"], rule["action"]) == (20, {"type": "expire"})
    assert repository["EmptyOnDelete"] is True


def test_the_image_is_named_by_its_digest(templates):
    """It must be given, and a tag is not taken."""
    parameter = templates["larder"]["Parameters"]["Image"]
    assert "Default" not in parameter
    assert parameter["AllowedPattern"].endswith("@sha256:[0-9a-f]{64}$")
    assert container(templates["larder"])["Image"] == {"Ref": "Image"}


# --- the task


@pytest.mark.parametrize("name", SERVICES)
def test_the_task_is_that_of_the_file(templates, name):
    """It has Fargate's size, no root user, no capabilities, and a root that is read-only except for its data."""
    task = one(templates[name], "AWS::ECS::TaskDefinition")
    assert (task["RequiresCompatibilities"], task["NetworkMode"]) == (["FARGATE"], "awsvpc")
    assert (task["Family"], task["Cpu"], task["Memory"]) == (name, "2048", "4096")
    assert task["RuntimePlatform"]["CpuArchitecture"] == ("ARM64" if name == "full" else "X86_64")
    found = container(templates[name])
    assert found["User"] == "10001:10001"
    assert found["ReadonlyRootFilesystem"] is True
    assert found["LinuxParameters"] == {"Capabilities": {"Drop": ["ALL"]}, "InitProcessEnabled": True}
    assert [mount["ContainerPath"] for mount in found["MountPoints"]] == ["/larder/data"]
    assert task["Volumes"] == [{"Name": "data"}]
    assert "ProxyHandler({})" in found["HealthCheck"]["Command"][-1]
    options = found["LogConfiguration"]["Options"]
    assert (options["awslogs-group"], options["awslogs-region"]) == (f"/ecs/{name}", {"Ref": "AWS::Region"})


def test_settings_reach_the_task(templates):
    """They are added to those of the file and replace equal names."""
    variables = {each["Name"]: each["Value"] for each in container(templates["full"])["Environment"]}
    assert variables["LARDER_MODEL"] == "s3://pictures/models/vit"
    assert variables["LARDER_PANTRY"] == "firestore://shop/pantry"
    assert (variables["LARDER_PORT"], variables["LARDER_CONTENTS"]) == ("8080", "none")


def test_keys_stay_in_their_secret(templates):
    """AWS draws one; task and function know the secret's ARN; `none` has no secret at all; no template has a key."""
    for name in ("larder", "larder-function"):
        secret = one(templates[name], "AWS::SecretsManager::Secret")
        assert secret["Name"] == f"{name}/api-keys"
        assert secret["GenerateSecretString"]["PasswordLength"] == 40
        assert "SecretString" not in secret
        assert "resolve:" not in json.dumps(templates[name])
    (keys, google) = container(templates["full"])["Secrets"]
    assert (keys["Name"], list(keys["ValueFrom"])) == ("LARDER_API_KEYS", ["Ref"])
    assert google["ValueFrom"].endswith(":secret:larder/google-AbCdEf")
    assert container(templates["open"])["Secrets"] == []
    for name in ("open", "open-function"):
        assert every(templates[name], "AWS::SecretsManager::Secret") == []


# --- roles


def test_tasks_alone_take_on_the_roles(templates):
    """Only tasks of this account and region may assume them; Google trusts the task's role by its name."""
    roles = every(templates["larder"], "AWS::IAM::Role")
    assert {joined(role["RoleName"]) for role in roles} == {
        "larder-<AWS::Region>-execution",
        "larder-<AWS::Region>-task",
    }
    for role in roles:
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        source = joined(trust["Condition"]["ArnLike"]["aws:SourceArn"])
        assert source == "arn:<AWS::Partition>:ecs:<AWS::Region>:<AWS::AccountId>:*"
        assert "ManagedPolicyArns" not in role


def test_the_start_may_fetch_this_image_these_secrets_and_write_this_log(templates):
    """Resources are named by ARN; only ECR's token has none."""
    found = statements(templates["full"], "ExecutionRole")
    repository = "arn:<AWS::Partition>:ecr:<AWS::Region>:<AWS::AccountId>:repository/full"
    read = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
    assert [actions for actions, *_ in found] == [
        ["logs:CreateLogStream", "logs:PutLogEvents"],
        ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"],
        ["ecr:GetAuthorizationToken"],
        read,
        read,
    ]
    log, image, token, keys, google = [resource for _, resource, _ in found]
    assert (log["Fn::GetAtt"][0][:3], image, token) == ("Log", repository, "*")
    assert (list(keys), google) == (
        ["Ref"],
        f"arn:aws:secretsmanager:{'eu-west-1:123456789012'}:secret:larder/google-AbCdEf",
    )


@pytest.mark.parametrize(
    ("stack", "role", "bucket", "key"),
    [
        ("full", "TaskRole", "pictures", "models/vit/*"),
        ("full-function", "Role", "pictures", "labels.txt"),
        ("bare", "TaskRole", "pictures", "*"),
    ],
)
def test_the_service_reads_what_its_settings_name_and_nothing_beside_it(templates, stack, role, bucket, key):
    """A model is all below its prefix, a label file one object; no other bucket or prefix begins so."""
    found = [each for each in statements(templates[stack], role) if each[0][0].startswith("s3:")]
    arn = f"arn:<AWS::Partition>:s3:::{bucket}"
    assert found == [
        (["s3:GetObject"], f"{arn}/{key}", None),
        (["s3:ListBucket"], arn, {"StringLike": {"s3:prefix": key}}),
    ]


def test_other_settings_give_no_rights(templates):
    """Without a setting in S3 the task may do nothing at all, and the function write its log and read its keys."""
    assert statements(templates["larder"], "TaskRole") == []
    log, keys = statements(templates["larder-function"], "Role")
    assert log[0] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert log[1]["Fn::GetAtt"][0].startswith("FunctionLog")
    assert (keys[0][0], list(keys[1])) == ("secretsmanager:GetSecretValue", ["Ref"])
    (role,) = every(templates["larder-function"], "AWS::IAM::Role")
    assert "ManagedPolicyArns" not in role


# --- the way in


def test_the_addresses_of_the_configuration_may_call_and_no_others(templates):
    """Port 80 is open, and 443 with a certificate; the tasks accept only the balancer, on 8080."""
    expected = {
        "larder": {("0.0.0.0/0", 80)},
        "full": {(c, p) for c in ("203.0.113.0/24", "10.0.0.0/8") for p in (80, 443)},
    }
    for name, doors in expected.items():
        template = templates[name]
        groups = {group["GroupDescription"]: group for group in every(template, "AWS::EC2::SecurityGroup")}
        ingress = groups["Larder: who may call"]["SecurityGroupIngress"]
        assert {(rule["CidrIp"], rule["FromPort"]) for rule in ingress} == doors
        assert all(rule["FromPort"] == rule["ToPort"] and rule["IpProtocol"] == "tcp" for rule in ingress)
        assert "SecurityGroupIngress" not in groups["Larder: the tasks"]
        rule = one(template, "AWS::EC2::SecurityGroupIngress")
        assert (rule["FromPort"], rule["ToPort"]) == (8080, 8080)
        assert rule["SourceSecurityGroupId"]["Fn::GetAtt"][0].startswith("BalancerGroup")


def test_a_certificate_brings_https(templates):
    """HTTPS forwards with TLS 1.2 at least, and HTTP redirects there for good; without one, HTTP forwards."""
    (plain,) = every(templates["larder"], f"{ELB}::Listener")
    assert (plain["Port"], plain["Protocol"], plain["DefaultActions"][0]["Type"]) == (80, "HTTP", "forward")
    listeners = {each["Port"]: each for each in every(templates["full"], f"{ELB}::Listener")}
    redirect = {"Port": "443", "Protocol": "HTTPS", "StatusCode": "HTTP_301"}
    assert listeners[80]["DefaultActions"] == [{"Type": "redirect", "RedirectConfig": redirect}]
    assert listeners[443]["DefaultActions"][0]["Type"] == "forward"
    assert listeners[443]["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    assert listeners[443]["Certificates"] == [{"CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/0123"}]
    assert templates["full"]["Outputs"]["Url"]["Value"]["Fn::Join"][1][0] == "https://"


def test_the_balancer_asks_get_and_gives_up_first(templates):
    """A task gets requests while its `GET /` answers 200; the balancer closes idle connections, not the service."""
    balancer, targets = (one(templates["larder"], f"{ELB}::{kind}") for kind in ("LoadBalancer", "TargetGroup"))
    attributes = by_key(balancer["LoadBalancerAttributes"])
    assert 60 < int(attributes["idle_timeout.timeout_seconds"]) < KEEP_ALIVE
    assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert (balancer["Scheme"], balancer["Type"]) == ("internet-facing", "application")
    checks = {"Path": "/", "IntervalSeconds": 10, "TimeoutSeconds": 5}
    assert {name: targets[f"HealthCheck{name}"] for name in checks} == checks
    assert (targets["HealthyThresholdCount"], targets["UnhealthyThresholdCount"]) == (2, 3)
    assert targets["Matcher"] == {"HttpCode": "200"}
    assert (targets["TargetType"], targets["Port"], targets["Protocol"]) == ("ip", 8080, "HTTP")
    algorithm = by_key(targets["TargetGroupAttributes"])["load_balancing.algorithm.type"]
    assert algorithm == "least_outstanding_requests"


def test_the_network_may_be_ones_own(templates):
    """Without one there is a VPC of two zones whose subnets are public; otherwise the subnets that were named."""
    assert len(every(templates["larder"], "AWS::EC2::Subnet")) == 2
    assert every(templates["larder"], "AWS::EC2::NatGateway") == []
    assert every(templates["full"], "AWS::EC2::VPC") == []
    assert one(templates["full"], f"{ELB}::LoadBalancer")["Subnets"] == ["subnet-00000001", "subnet-00000002"]
    service = one(templates["full"], "AWS::ECS::Service")["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert (service["Subnets"], service["AssignPublicIp"]) == (["subnet-00000003", "subnet-00000004"], "DISABLED")
    service = one(templates["larder"], "AWS::ECS::Service")["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert (len(service["Subnets"]), service["AssignPublicIp"]) == (2, "ENABLED")


# --- replacing tasks, and how many there are


def test_the_times_of_a_replacement_fit(templates):
    """The balancer's drain is the task's time to stop, which covers the 503s and 20 seconds for pending requests."""
    targets = one(templates["larder"], f"{ELB}::TargetGroup")
    drain = int(by_key(targets["TargetGroupAttributes"])["deregistration_delay.timeout_seconds"])
    assert container(templates["larder"])["StopTimeout"] == drain
    assert Settings.model_fields["drain"].default + 20 <= drain
    service = one(templates["larder"], "AWS::ECS::Service")
    start = container(templates["larder"])["HealthCheck"]["StartPeriod"]
    assert service["HealthCheckGracePeriodSeconds"] == start == 60


def test_tasks_that_do_not_come_up_are_given_up(templates):
    """New ones start before old ones stop, and the circuit breaker goes back; scaling alone says how many there are."""
    service = one(templates["larder"], "AWS::ECS::Service")
    deployment = service["DeploymentConfiguration"]
    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    assert (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]) == (100, 200)
    assert "DesiredCount" not in service
    assert (service["ServiceName"], service["LaunchType"]) == ("larder", "FARGATE")
    assert one(templates["larder"], "AWS::ECS::Cluster")["ClusterName"] == "larder"


def test_the_first_task_has_its_rights(templates):
    """The service waits for the policy by which ECS fetches image and secrets, and for the listener."""
    (service,) = (each for each in templates["larder"]["Resources"].values() if each["Type"] == "AWS::ECS::Service")
    waits = " ".join(service["DependsOn"])
    assert "ExecutionRoleDefaultPolicy" in waits
    assert "BalancerHttp" in waits


@pytest.mark.parametrize(("name", "bounds", "targets"), [("larder", (1, 4), (60, 400)), ("full", (2, 8), (70, 600))])
def test_tasks_follow_the_load(templates, name, bounds, targets):
    """Within the bounds they scale by processor time and requests per task: up within a minute, down after five."""
    target = one(templates[name], "AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == bounds
    policies = every(templates[name], "AWS::ApplicationAutoScaling::ScalingPolicy")
    tracked = [each["TargetTrackingScalingPolicyConfiguration"] for each in policies]
    metrics = {each["PredefinedMetricSpecification"]["PredefinedMetricType"]: each["TargetValue"] for each in tracked}
    kinds = ("ECSServiceAverageCPUUtilization", "ALBRequestCountPerTarget")
    assert metrics == dict(zip(kinds, targets, strict=True))
    assert {(each["ScaleOutCooldown"], each["ScaleInCooldown"]) for each in tracked} == {(60, 300)}


# --- logs and alarms


@pytest.mark.parametrize("name", ["larder", "larder-function"])
def test_logs_end(templates, name):
    """Every log group is kept for a month, and deleted with its stack."""
    groups = [each for each in templates[name]["Resources"].values() if each["Type"] == "AWS::Logs::LogGroup"]
    assert groups
    assert {each["Properties"]["RetentionInDays"] for each in groups} == {30}
    assert {each["DeletionPolicy"] for each in groups} == {"Delete"}


def test_four_alarms_call_somebody(templates):
    """They fire after three bad minutes of five, and notify a topic, if any, of the beginning and the end."""
    alarms = {each["AlarmName"]: each for each in every(templates["full"], "AWS::CloudWatch::Alarm")}
    assert alarms.keys() == {f"full-{name}" for name in ALARMS}
    assert {name.partition("-")[2]: (each["MetricName"], each["Threshold"]) for name, each in alarms.items()} == {
        "errors": ("HTTPCode_Target_5XX_Count", 5),
        "unreached": ("HTTPCode_ELB_5XX_Count", 5),
        "unhealthy": ("UnHealthyHostCount", 1),
        "slow": ("TargetResponseTime", 1),
    }
    for each in alarms.values():
        assert (each["Period"], each["DatapointsToAlarm"], each["EvaluationPeriods"]) == (60, 3, 5)
        assert each["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        assert each["TreatMissingData"] == "notBreaching"
        assert each["AlarmActions"] == each["OKActions"] == ["arn:aws:sns:eu-west-1:123456789012:alarms"]
    assert all("AlarmActions" not in each for each in every(templates["larder"], "AWS::CloudWatch::Alarm"))


# --- Lambda


def test_the_function_is_the_image(templates):
    """It has the default values, or the configured ones."""
    function, full = (one(templates[name], "AWS::Lambda::Function") for name in ("larder-function", "full-function"))
    assert (function["PackageType"], function["Architectures"]) == ("Image", ["arm64"])
    assert (function["MemorySize"], function["Timeout"]) == (3008, 29)
    assert function["Environment"]["Variables"].keys() == {"LARDER_API_KEYS_SECRET"}
    assert (full["Architectures"], full["MemorySize"], full["Timeout"]) == (["x86_64"], 10240, 10)
    variables = full["Environment"]["Variables"]
    assert variables["LARDER_LABELS"] == "s3://pictures/labels.txt"
    google = variables["LARDER_GOOGLE_CREDENTIALS_SECRET"]
    assert google.endswith(":secret:larder/google-AbCdEf")
    assert google in [resource for _, resource, _ in statements(templates["full-function"], "Role")]


def test_every_path_reaches_the_function(templates):
    """There is one default route and stage: paths arrive unchanged, preflights too, and are throttled."""
    template = templates["full-function"]
    assert one(template, "AWS::ApiGatewayV2::Route")["RouteKey"] == "$default"
    integration = one(template, "AWS::ApiGatewayV2::Integration")
    assert (integration["IntegrationType"], integration["PayloadFormatVersion"]) == ("AWS_PROXY", "2.0")
    stage = one(template, "AWS::ApiGatewayV2::Stage")
    assert stage["StageName"] == "$default"
    assert stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": 5, "ThrottlingBurstLimit": 7}
    assert {"ip", "path", "status", "ms"} <= json.loads(stage["AccessLogSettings"]["Format"]).keys()


def test_nothing_is_kept_warm_unless_asked(templates):
    """Provisioned concurrency, if configured, is on the alias that the API calls."""
    assert "ProvisionedConcurrencyConfig" not in one(templates["larder-function"], "AWS::Lambda::Alias")
    warm = one(templates["full-function"], "AWS::Lambda::Alias")["ProvisionedConcurrencyConfig"]
    assert warm == {"ProvisionedConcurrentExecutions": 2}


def test_the_stacks_say_where_they_stand(templates):
    """Both stacks output their address."""
    assert templates["larder"]["Outputs"].keys() == {"Url"}
    assert templates["larder-function"]["Outputs"].keys() == {"Url", "FunctionName"}
