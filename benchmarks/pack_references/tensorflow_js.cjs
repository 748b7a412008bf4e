// Runs graph and layers models with TensorFlow.js itself (CPU backend) on the check pattern and prints every output in full.
// Usage: node tensorflow_js.cjs SPECIFICATION.json; needs `npm install @tensorflow/tfjs@4.22.0` where it runs.

const fs = require('fs');
const path = require('path');
const tf = require(require.resolve('@tensorflow/tfjs', { paths: [process.cwd()] }));

// The same numbers as inference.packs.checks.pattern.
function pattern(shape, [low, high]) {
  const values = new Float32Array(shape.reduce((a, b) => a * b));
  for (let i = 0; i < values.length; i++) {
    const noise = Math.imul(i, 2654435761) >>> 25;
    const wave = Math.abs((Math.floor(i / 31) % 256) - 128);
    values[i] = low + ((high - low) * (noise + wave)) / 255;
  }
  return values;
}

// A model whose files are JSON and binary, or JavaScript modules that export JSON and base64.
function artifacts(files) {
  const modules = files[0].endsWith('.js');
  const model = modules ? require(files[0]) : JSON.parse(fs.readFileSync(files[0]));
  const shards = Object.fromEntries(files.slice(1).map((file) => modules
    ? [path.basename(file, '.min.js'), Buffer.from(require(file), 'base64')]
    : [path.basename(file), fs.readFileSync(file)]));
  const data = Buffer.concat(model.weightsManifest.flatMap((group) => group.paths.map((name) => shards[name])));
  return {
    modelTopology: model.modelTopology,
    weightSpecs: model.weightsManifest.flatMap((group) => group.weights),
    weightData: data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength),
  };
}

async function main() {
  await tf.setBackend('cpu');
  const results = {};
  for (const [name, network] of Object.entries(JSON.parse(fs.readFileSync(process.argv[2])))) {
    const source = { load: async () => artifacts(network.files) };
    const layered = 'model_config' in (await source.load()).modelTopology;
    const model = await (layered ? tf.loadLayersModel(source) : tf.loadGraphModel(source));
    const dtype = model.inputs[0].dtype;
    const picture = tf.tensor(pattern(network.shape, network.range), network.shape).cast(dtype);
    const outputs = [layered ? model.predict(picture) : model.execute(picture, network.tensors)].flat();
    results[name] = outputs.map((output) => ({ shape: output.shape, values: Array.from(output.dataSync()) }));
  }
  process.stdout.write(JSON.stringify(results));
}

main();
