"""What both stacks are made of: logs that end, keys in a secret, and the right to read what the settings name."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secrets
from constructs import Construct

from app.s3 import SCHEME, parse_place


def month_of_logs(scope: Construct, id: str, name: str | None = None) -> logs.LogGroup:
    """A group of logs, kept for a month, that goes with the stack."""
    month = logs.RetentionDays.ONE_MONTH
    return logs.LogGroup(scope, id, log_group_name=name, retention=month, removal_policy=cdk.RemovalPolicy.DESTROY)


def secrets_of(stack: cdk.Stack, api_keys: str, google: str) -> dict[str, secrets.ISecret]:
    """The secrets that the service reads when it starts, by setting; `google` is the ARN of one, or empty."""
    found: dict[str, secrets.ISecret] = {}
    if api_keys == "generate":
        found["LARDER_API_KEYS"] = _drawn_key(stack)
    if google:
        found["LARDER_GOOGLE_CREDENTIALS"] = secrets.Secret.from_secret_complete_arn(stack, "Google", google)
    return found


def _drawn_key(stack: cdk.Stack) -> secrets.Secret:
    """A secret with one key, drawn by AWS when the stack is made; `python -m infra.aws keys` puts others there."""
    secret = secrets.Secret(
        stack,
        "ApiKeys",
        secret_name=f"{stack.stack_name}/api-keys",
        description="Larder's API keys, comma-separated",
        generate_secret_string=secrets.SecretStringGenerator(exclude_punctuation=True, password_length=40),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    accept(secret, "AwsSolutions-SMG4", "Clients hold these keys: a rotation by itself would lock them out")
    return secret


def allow_reading(role: iam.Role, settings: Mapping[str, str]) -> None:
    """Let a role read what settings name in S3: LARDER_MODEL is a prefix, the others are one object each."""
    for name, value in settings.items():
        if not value.startswith(SCHEME):
            continue
        place = parse_place(value)
        key = place.under("*").key if name == "LARDER_MODEL" else place.key
        bucket = f"arn:{cdk.Aws.PARTITION}:s3:::{place.bucket}"
        role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=[f"{bucket}/{key}"]))
        # without the right to list it, S3 says of a missing object that it is forbidden
        condition = {"StringLike": {"s3:prefix": key}}
        role.add_to_policy(iam.PolicyStatement(actions=["s3:ListBucket"], resources=[bucket], conditions=condition))
        if name == "LARDER_MODEL":
            finding = f"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:s3:::{place.bucket}/{key}]"
            accept(role, finding, "A bundle is all the objects below its prefix, and nothing beside it")


def accept(construct: Construct, finding: str, reason: str) -> None:
    """Acknowledge a finding of cdk-nag."""
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=finding, reason=reason))
