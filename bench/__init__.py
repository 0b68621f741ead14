"""Benchmarks that compare two ways side by side; each prints ratios of one run."""
