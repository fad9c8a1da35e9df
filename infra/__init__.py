"""Where the service runs: one folder for each way of standing it up."""
