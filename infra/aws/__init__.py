"""AWS: a CDK app for what stands there (app.py), and boto3 for what happens to it (`python -m infra.aws`)."""
