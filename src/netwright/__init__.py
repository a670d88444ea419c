"""Netwright: one network service for a data center and its clouds."""
