"""Publish the service's events: server-sent events, webhooks, MQTT."""
