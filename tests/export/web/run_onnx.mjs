// Run an ONNX file with onnxruntime-web (WASM), one thread.
//
// node run_onnx.mjs MODEL.onnx INPUTS.json OUTPUTS.json
//
// Arrays are {"type", "dims", "data"}.

import { readFileSync, writeFileSync } from 'node:fs';
import * as ort from 'onnxruntime-web';

const [model, inputsPath, outputsPath] = process.argv.slice(2);
ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';
const session = await ort.InferenceSession.create(readFileSync(model));
const inputs = JSON.parse(readFileSync(inputsPath, 'utf8'));
const feeds = {};
for (const [name, { type, dims, data }] of Object.entries(inputs)) {
  feeds[name] = new ort.Tensor(type, data, dims);
}
const start = performance.now();
const results = await session.run(feeds);
const outputs = { milliseconds: performance.now() - start, arrays: {} };
for (const [name, tensor] of Object.entries(results)) {
  outputs.arrays[name] = { type: tensor.type, dims: tensor.dims, data: Array.from(tensor.data, Number) };
}
writeFileSync(outputsPath, JSON.stringify(outputs));
