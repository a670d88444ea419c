"""The CNI plugin's front end, and what it and the host's agent say to each other.

A runtime runs `netwright` (C, or `reference.py` where there is no compiler); it asks the agent.
"""
