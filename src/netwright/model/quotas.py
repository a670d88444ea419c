"""What a project may have at most."""

from collections.abc import Mapping

from netwright.model.resources import Value

UNLIMITED = -1
NO_LIMITS: Mapping[str, int] = {}


class Quota(Value, frozen=True, kw_only=True):
    """The limits that an administrator has set for a project; `id` is the project's.

    A resource that `limits` leaves out has the configured default. `counted`: what the project has
    is kept count of, by every server process, whatever its own defaults are.
    """

    id: str
    limits: Mapping[str, int] = {}
    counted: bool = False

    def limit(self, resource: str, defaults: Mapping[str, int]) -> int:
        """At most so many; `UNLIMITED`: there is no limit."""
        return self.limits.get(resource, defaults.get(resource, UNLIMITED))
