"""The kernel's network by netlink: what host agents and drivers of switches ask of it alike."""
