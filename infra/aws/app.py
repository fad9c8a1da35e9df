"""The CDK app: the stacks of one configuration, checked with cdk-nag's AWS Solutions rules.

infra/cdk.json runs it: `cdk synth -c config=FILE`; no account is needed.
"""

from pathlib import Path

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from infra.aws.config import Config, ConfigError, read_config
from infra.aws.function import FunctionStack
from infra.aws.service import RepositoryStack, ServiceStack


def add_stacks(app: cdk.App, config: Config) -> None:
    """Add the stacks of the configuration, tagged with its name."""
    stacks: list[cdk.Stack] = []
    if config.service:
        stacks += [RepositoryStack(app, config), ServiceStack(app, config, config.service)]
    if config.function:
        stacks += [FunctionStack(app, config, config.function)]
    for stack in stacks:
        cdk.Tags.of(stack).add("larder:stack", config.name)


def main() -> None:
    """Write the templates to the CDK's output folder."""
    app = cdk.App()
    try:
        add_stacks(app, read_config(Path(app.node.try_get_context("config") or "larder.toml")))
    except ConfigError as error:
        raise SystemExit(f"larder: {error}") from error
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()


if __name__ == "__main__":
    main()
