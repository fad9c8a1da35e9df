"""AWS: a CDK app that defines the stacks (app.py), and boto3 commands for the service (`python -m infra.aws`)."""
