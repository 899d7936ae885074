"""Benchmarks of keras_sam. `python -m benchmarks --help` lists them."""
