"""Where attachments belong, and whose refusals are theirs."""

from tests.doubles.fabric_world import World
