"""One module a kind of switch: reads it back, and applies changes to it."""
