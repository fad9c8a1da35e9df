"""The service on Lambda, behind an HTTP API."""

import json
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_ecr_assets as assets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as functions
from constructs import Construct

from infra.aws.config import ROOT, Config, FunctionConfig
from infra.aws.parts import accept, allow_reading, month_of_logs, secrets_of

ACCESS_LOG = {
    "requestId": "$context.requestId",
    "ip": "$context.identity.sourceIp",
    "time": "$context.requestTime",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "status": "$context.status",
    "bytes": "$context.responseLength",
    "ms": "$context.responseLatency",
    "error": "$context.integrationErrorMessage",
}


class FunctionStack(cdk.Stack):
    """Larder behind an HTTP API; without requests it costs a secret, storage, and provisioned environments."""

    def __init__(self, scope: Construct, config: Config, function: FunctionConfig) -> None:
        super().__init__(scope, f"{config.name}-function", description="Larder recognises what is in a picture")
        self._config = config
        self._options = function
        self._arm = function.architecture == "arm64"
        made = self._function(self._image())
        live = functions.Alias(
            self,
            "Live",
            alias_name="live",
            version=made.current_version,
            provisioned_concurrent_executions=function.provisioned_concurrency or None,
        )
        api = gateway.HttpApi(
            self,
            "Api",
            create_default_stage=False,
            default_integration=integrations.HttpLambdaIntegration("Integration", live),
        )
        accept(api, "AwsSolutions-APIG4", "The service asks for its keys itself, as it does everywhere else")
        self._stage(api)
        cdk.CfnOutput(self, "Url", value=api.api_endpoint)
        cdk.CfnOutput(self, "FunctionName", value=made.function_name)

    def _image(self) -> assets.DockerImageAsset:
        """Build the image with docker on deployment; its tag is a hash of its content."""
        ignored = (ROOT / "infra/lambda/Dockerfile.dockerignore").read_text().splitlines()
        return assets.DockerImageAsset(
            self,
            "Build",
            directory=str(ROOT),
            file="infra/lambda/Dockerfile",
            exclude=[*ignored, "models/*", f"!models/{self._options.bundle}"],
            platform=assets.Platform.LINUX_ARM64 if self._arm else assets.Platform.LINUX_AMD64,
            build_args={"ARCHITECTURE": self._options.architecture, "BUNDLE": self._options.bundle},
        )

    def _function(self, image: assets.DockerImageAsset) -> functions.Function:
        """Create the function; it knows the names of its secrets, and reads them when it starts."""
        log, environment = month_of_logs(self, "FunctionLog"), dict(self._options.settings)
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log.grant_write(role)
        allow_reading(role, self._options.settings)
        read = secrets_of(self, self._config.api_keys, self._options.google_credentials)
        for variable, secret in read.items():
            secret.grant_read(role)
            environment[f"{variable}_SECRET"] = secret.secret_arn
        return functions.DockerImageFunction(
            self,
            "Function",
            code=functions.DockerImageCode.from_ecr(image.repository, tag_or_digest=image.image_tag),
            architecture=functions.Architecture.ARM_64 if self._arm else functions.Architecture.X86_64,
            memory_size=self._options.memory,
            timeout=cdk.Duration.seconds(self._options.timeout),
            environment=environment,
            log_group=log,
            role=role,
        )

    def _stage(self, api: gateway.HttpApi) -> None:
        """Create the default stage, which adds nothing to the path."""
        log = month_of_logs(self, "AccessLog")
        throttle = gateway.ThrottleSettings(rate_limit=self._options.rate, burst_limit=self._options.burst)
        stage = gateway.HttpStage(self, "Stage", http_api=api, auto_deploy=True, throttle=throttle)
        resource = cast(gateway.CfnStage, stage.node.default_child)
        resource.access_log_settings = gateway.CfnStage.AccessLogSettingsProperty(
            destination_arn=log.log_group_arn, format=json.dumps(ACCESS_LOG)
        )
