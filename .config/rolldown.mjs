// dist/index.js: one file loads several times as fast as forty, and of valibot it takes what is used. eventemitter3 is in it
// because loading a CommonJS package from a module costs more than all the rest; its declarations are taken from the package,
// so it stays a dependency. Declarations are tsc's.
import { defineConfig } from 'rolldown';

export default defineConfig({
  input: 'lib/index.ts',
  platform: 'node',
  external: ['node-gyp-build'],
  output: {
    file: 'dist/index.js',
    format: 'esm',
    sourcemap: true,
    sourcemapExcludeSources: true, // lib/ is in the package
    banner: `// Includes eventemitter3: MIT License, Copyright (c) 2014 Arnout Kazemier,
// and valibot: MIT License, Copyright (c) Fabian Hiller.`,
  },
});
