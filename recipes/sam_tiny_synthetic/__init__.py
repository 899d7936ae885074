"""The recipe of the preset `sam_tiny_synthetic`: procedural scenes and training phases."""
