"""Security groups. Pure.

`rules` says what a rule may say, `decisions` decides about groups and rules, `taking` about the
groups that a port is in; `members` are what watchers are told of.
"""
