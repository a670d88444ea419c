"""What the fabric's routes look like from outside: observers, each optional."""
