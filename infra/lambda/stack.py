"""The stack: the function, the HTTP API before it, and their logs.

python -m infra.lambda.stack, called by the CDK's command line as `cdk.json` says.
"""

import json
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_ecr_assets as assets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as functions
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secrets

from .context import OPEN, ROOT, Context, read_context  # `import infra.lambda` is no Python: it is a keyword

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


class LarderStack(cdk.Stack):
    """Larder behind an HTTP API; nothing in it costs while nobody asks, but for provisioned concurrency and storage."""

    def __init__(self, scope: cdk.App, name: str, context: Context) -> None:
        super().__init__(scope, name, description="Larder recognises what is in a picture")
        image = self._image(context)
        function = self._function(context, image)
        live = functions.Alias(
            self,
            "Live",
            alias_name="live",
            version=function.current_version,
            provisioned_concurrent_executions=context.provisioned_concurrency or None,
        )
        api = gateway.HttpApi(
            self,
            "Api",
            create_default_stage=False,
            default_integration=integrations.HttpLambdaIntegration("Integration", live),
        )
        self._stage(context, api)
        cdk.CfnOutput(self, "Url", value=api.api_endpoint)
        cdk.CfnOutput(self, "FunctionName", value=function.function_name)
        cdk.CfnOutput(self, "Image", value=image.image_uri)

    def _image(self, context: Context) -> assets.DockerImageAsset:
        arm = context.architecture == "arm64"
        ignored = (ROOT / "infra/lambda/Dockerfile.dockerignore").read_text().splitlines()
        return assets.DockerImageAsset(
            self,
            "Build",
            directory=str(ROOT),
            file="infra/lambda/Dockerfile",
            exclude=[*ignored, "models/*", f"!models/{context.bundle}"],
            platform=assets.Platform.LINUX_ARM64 if arm else assets.Platform.LINUX_AMD64,
            build_args={"ARCHITECTURE": context.architecture, "BUNDLE": context.bundle},
        )

    def _function(self, context: Context, image: assets.DockerImageAsset) -> functions.Function:
        log = self._log("FunctionLog")
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log.grant_write(role)
        if context.api_keys_secret != OPEN:
            secrets.Secret.from_secret_name_v2(self, "Keys", context.api_keys_secret).grant_read(role)
        arm = context.architecture == "arm64"
        return functions.DockerImageFunction(
            self,
            "Function",
            code=functions.DockerImageCode.from_ecr(image.repository, tag_or_digest=image.image_tag),
            architecture=functions.Architecture.ARM_64 if arm else functions.Architecture.X86_64,
            memory_size=context.memory,
            timeout=cdk.Duration.seconds(context.timeout),
            environment=self._environment(context),
            log_group=log,
            role=role,
        )

    def _environment(self, context: Context) -> dict[str, str]:
        """What the image does not settle; of the keys only their secret's name, for they are read at the start."""
        keys = {} if context.api_keys_secret == OPEN else {"LARDER_API_KEYS_SECRET": context.api_keys_secret}
        return {"LARDER_PANTRY": context.pantry} | keys

    def _stage(self, context: Context, api: gateway.HttpApi) -> None:
        """The default stage, which adds nothing to the path."""
        log = self._log("AccessLog")
        stage = gateway.HttpStage(
            self,
            "Stage",
            http_api=api,
            auto_deploy=True,
            throttle=gateway.ThrottleSettings(rate_limit=context.rate, burst_limit=context.burst),
        )
        resource = cast(gateway.CfnStage, stage.node.default_child)
        resource.access_log_settings = gateway.CfnStage.AccessLogSettingsProperty(
            destination_arn=log.log_group_arn, format=json.dumps(ACCESS_LOG)
        )

    def _log(self, name: str) -> logs.LogGroup:
        """A group of logs, kept for a month, that goes with the stack."""
        month = logs.RetentionDays.ONE_MONTH
        return logs.LogGroup(self, name, retention=month, removal_policy=cdk.RemovalPolicy.DESTROY)


def main() -> None:
    """Write the stack's template to where the command line has it."""
    app = cdk.App()
    given = {name: app.node.try_get_context(name) for name in Context.model_fields}
    LarderStack(app, "Larder", read_context({name: value for name, value in given.items() if value is not None}))
    app.synth()


if __name__ == "__main__":
    main()
