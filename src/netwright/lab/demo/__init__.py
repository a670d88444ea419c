"""`netwright demo`: builds a lab, shows the main job step by step, and checks every claim."""
