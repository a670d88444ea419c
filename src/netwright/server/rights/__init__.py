"""What callers of which roles may do: rules with their defaults, overridden by one file."""
