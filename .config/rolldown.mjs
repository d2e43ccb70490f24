// dist/index.js: one file loads several times as fast as forty, and of valibot it takes what is used. Declarations are tsc's.
import { defineConfig } from 'rolldown';

export default defineConfig({
  input: 'lib/index.ts',
  platform: 'node',
  external: ['eventemitter3', 'node-gyp-build'],
  output: {
    file: 'dist/index.js',
    format: 'esm',
    sourcemap: true,
    banner: '// Includes valibot: MIT License, Copyright (c) Fabian Hiller.',
  },
});
