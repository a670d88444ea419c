"""What the server asks Kubernetes: where pods run, and whether their owners are still there.

`verdicts` decides (pure), `clusters` asks and remembers, `sweeping` lets go of what is kept for
owners that are gone (ADR 35).
"""
