// Segment an image by a point with transformers.js, from local files.
//
// node export_consumers.mjs MODEL_FOLDER IMAGE "[x, y]" MASKS.json

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { AutoProcessor, RawImage, SamModel, env } from '@huggingface/transformers';

const [folder, imagePath, point, output] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = path.dirname(folder);
const name = path.basename(folder);
const model = await SamModel.from_pretrained(name, { dtype: 'fp32', device: 'cpu' });
const processor = await AutoProcessor.from_pretrained(name);
const image = await RawImage.read(imagePath);
const inputs = await processor(image, { input_points: [[JSON.parse(point)]] });
const { pred_masks, iou_scores } = await model(inputs);
const [masks] = await processor.post_process_masks(
  pred_masks, inputs.original_sizes, inputs.reshaped_input_sizes,
);
const content = { dims: masks.dims, masks: Array.from(masks.data, Number), scores: Array.from(iou_scores.data) };
writeFileSync(output, JSON.stringify(content));
