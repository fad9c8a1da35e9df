"""What happens in the service, told to others: server-sent events, webhooks, MQTT."""
