"""Kubernetes' API, as the agent and the server need it (ADR 35)."""
