"""Pods of this node as Kubernetes knows them (ADR 35)."""
