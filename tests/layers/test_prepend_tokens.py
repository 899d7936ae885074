"""Learned tokens before the tokens of prompts."""

import numpy as np
import pytest
from keras import ops

from keras_sam.layers.prepend_tokens import prepend_tokens
from tests.layers.numpy_reference import assert_close, random, to_numpy


@pytest.mark.parametrize("num_tokens", [0, 2])
def test_each_prompt_gets_the_learned_tokens(num_tokens):
    learned, tokens = random(3, 4), random(2, 5, num_tokens, 4, seed=1)
    mask = np.zeros((2, 5, num_tokens), bool)
    arrays = [ops.convert_to_tensor(array) for array in (learned, tokens, mask)]
    output, output_mask = prepend_tokens(*arrays)
    for image in range(2):
        for prompt in range(5):
            expected = np.concatenate([learned, tokens[image, prompt]])
            assert_close(output[image, prompt], expected, atol=0)
    assert to_numpy(output_mask).tolist() == [[[True] * 3 + [False] * num_tokens] * 5] * 2


def test_without_mask_there_is_none():
    arrays = [ops.convert_to_tensor(array) for array in (random(3, 4), random(2, 5, 2, 4))]
    assert prepend_tokens(*arrays)[1] is None
