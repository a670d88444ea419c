"""The fabric controller: plans, applies and verifies what the switches of a fabric shall be."""
