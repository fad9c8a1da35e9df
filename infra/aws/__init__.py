"""What stands on AWS: one file for each kind of resource, and the list of them."""
