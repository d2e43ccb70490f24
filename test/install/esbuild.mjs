// esbuild.mjs MODULES ENTRY OUT EXTERNAL
import { createRequire } from 'node:module';

const [modules, entry, out, external] = process.argv.slice(2);
const { build } = createRequire(`${modules}/`)('esbuild');
await build({
  entryPoints: [entry],
  outfile: out,
  bundle: true,
  platform: 'node',
  format: out.endsWith('.cjs') ? 'cjs' : 'esm',
  external: external === 'true' ? ['holdfast'] : [],
  logLevel: 'error',
});
