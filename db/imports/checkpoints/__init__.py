"""Formats of checkpoints: what a configuration says of quantization, and the index of their files."""
