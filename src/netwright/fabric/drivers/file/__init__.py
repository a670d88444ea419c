"""A switch that is a file: what would be set, for review; nothing is sent anywhere."""
