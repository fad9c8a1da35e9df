"""The HTTP interface: wire forms, failures, and one file of routes per resource."""
