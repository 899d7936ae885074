"""The camera that records a scene."""

import numpy as np

from recipes.sam_tiny_synthetic.scenes.simulate_camera import simulate_camera


def test_photographs_differ_but_show_the_scene():
    scene = np.full((64, 64, 3), 0.2)
    scene[16:48, 16:48] = 0.8
    photographs = [simulate_camera(scene, np.random.default_rng(seed)) for seed in range(8)]
    assert len({photograph.tobytes() for photograph in photographs}) == 8
    for photograph in photographs:
        assert photograph.shape == (64, 64, 3)
        assert photograph.dtype == np.uint8
        assert np.corrcoef(photograph.mean(-1).ravel(), scene.mean(-1).ravel())[0, 1] > 0.7
