"""The pages for people: they ask a service over HTTP through `larder_client` alone."""
