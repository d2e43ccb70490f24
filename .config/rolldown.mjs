// dist/index.js: one file loads several times as fast as forty, and of valibot it takes what is used. eventemitter3 is in it
// because loading a CommonJS package from a module costs more than all the rest; its declarations are taken from the package,
// so it stays a dependency. Declarations are tsc's. dist/cli.js is the command `holdfast`, on top of that file.
import { defineConfig } from 'rolldown';

/** Another folder for who must leave this one alone (test/helpers/build-library.ts). */
const folder = process.env.HOLDFAST_DIST ?? 'dist';

const output = (file, banner, sourcemap) => ({
  file,
  format: 'esm',
  sourcemap,
  sourcemapExcludeSources: true, // lib/ is in the package
  banner,
});

const onLibrary = {
  name: 'on-the-library',
  resolveId: (source) => (source === '../index.ts' ? { id: './index.js', external: true } : undefined),
};

export default defineConfig([
  {
    input: 'lib/index.ts',
    platform: 'node',
    external: ['node-gyp-build'],
    output: output(
      `${folder}/index.js`,
      `// Includes eventemitter3: MIT License, Copyright (c) 2014 Arnout Kazemier,
// and valibot: MIT License, Copyright (c) Fabian Hiller.`,
      true,
    ),
  },
  {
    input: 'lib/cli/main.ts',
    platform: 'node',
    plugins: [onLibrary],
    output: output(
      `${folder}/cli.js`,
      `#!/usr/bin/env node
// Includes commander: MIT License, Copyright (c) 2011 TJ Holowaychuk,
// and picocolors: ISC License, Copyright (c) 2021-2024 Oleksii Raspopov, Kostiantyn Denysov, Anton Verinov.`,
      false,
    ),
  },
]);
