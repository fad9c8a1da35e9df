"""The service on AWS Lambda: its image, and the stack around it."""
