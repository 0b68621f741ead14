"""Pure physics and rules: what fits where, how fast, and why. No I/O, no clock, nothing of the other rooms."""
