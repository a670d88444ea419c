"""What projects share with others: Neutron's RBAC policies (ADR 49). Pure.

`decisions` decides about policies; `keeping` writes a resource's shares, wherever they change;
`users` says who uses what is shared.
"""
