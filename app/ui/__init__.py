"""The pages for people: they ask a service over HTTP through `larder_client`, and use nothing else of Larder."""
