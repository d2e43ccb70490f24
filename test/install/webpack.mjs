// webpack.mjs MODULES ENTRY OUT EXTERNAL
import { createRequire } from 'node:module';
import { basename, dirname } from 'node:path';

const [modules, entry, out, external] = process.argv.slice(2);
const webpack = createRequire(`${modules}/`)('webpack');
const configuration = {
  mode: 'production',
  target: 'node20',
  entry,
  experiments: { outputModule: true },
  output: { path: dirname(out), filename: basename(out), module: true, library: { type: 'module' } },
  externals: external === 'true' ? { holdfast: 'module holdfast' } : {},
};
webpack(configuration, (error, stats) => {
  const problem = error ?? (stats.hasErrors() ? stats.toString('errors-only') : undefined);
  if (problem !== undefined) console.error(problem);
  process.exitCode = problem === undefined ? 0 : 1;
});
