"""Networking API v2.0, as OpenStack's clients speak it.

`resource` serves every collection the same way; `networks`, `subnets`, `ports`, `security_groups`
and `security_group_rules` say what a request may carry, which command it becomes and how a value
is shown; `listing` reads filters, sorting and pages; `policy` says what only admins and owners may
do; `extensions` is what we announce. neutron-lib's attribute maps are the oracle; tests hold the
filters and sort keys to them.
"""
