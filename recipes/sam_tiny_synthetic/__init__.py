"""How `sam_tiny_synthetic` is made: procedural scenes, annotated crops, training phases."""
