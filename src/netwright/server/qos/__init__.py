"""Policies of quality of service: their rules, and what may have them. Pure.

Agents are told of all policies, and enforce those of their ports (`agent.ovs`, ADR 50).
"""
