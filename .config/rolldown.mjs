// dist/index.js: one file loads several times as fast as forty, and of valibot it takes what is used. eventemitter3 is in it
// because loading a CommonJS package from a module costs more than all the rest; its declarations are taken from the package,
// so it stays a dependency. Declarations are tsc's. dist/cli.js and dist/guard.js are the commands `holdfast` and
// `holdfast-guard`, on top of that file.
import { createHash } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
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

/**
 * index.cjs beside an index.js, the same module by `require`, which the Nodes in `engines` can load; and its declarations: a compiler
 * that makes CommonJS (module: node16) takes none of an ES module.
 * @param source The module.
 */
const commonJs = (source) => ({
  name: 'as-commonjs',
  generateBundle(_, bundle) {
    const values = Object.values(bundle)
      .find(({ isEntry }) => isEntry)
      .exports.sort();
    const exported = readFileSync(source, 'utf8').matchAll(/export (type )?\{([^}]*)\} from/g);
    const types = [...exported].flatMap(([, all, names]) =>
      names
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== '' && (all !== undefined || name.startsWith('type ')))
        .map((name) => name.replace(/^type /, '')),
    );
    const from = "'./index.js' with { 'resolution-mode': 'import' }";
    const lines = [
      `import type * as holdfast from ${from};`,
      `export type { ${types.sort().join(', ')} } from ${from};`,
      ...values.map((name) => `export declare const ${name}: typeof holdfast.${name};`),
      ...values.filter((name) => /^[A-Z]/.test(name)).map((name) => `export type ${name} = holdfast.${name};`),
    ];
    this.emitFile({ type: 'asset', fileName: 'index.d.cts', source: `${lines.join('\n')}\n` });
    this.emitFile({ type: 'asset', fileName: 'index.cjs', source: "module.exports = require('./index.js');\n" });
  },
});

/**
 * dist/report.html: the script and the style of lib/report/page/ in one document, which a policy lets run and be applied by
 * their hashes, and nothing else. lib/report/page.ts puts the data in.
 */
const reportPage = {
  name: 'report-page',
  generateBundle(_, bundle) {
    const [chunk] = Object.values(bundle);
    const script = chunk.code.trim();
    if (/<\/script|<!--/i.test(script)) throw new Error('the script of the report page cannot stand in a document');
    const style = readFileSync('lib/report/page/page.css', 'utf8')
      .replace(/\/\*.*?\*\//gs, '')
      .replace(/\s+/g, ' ')
      .trim();
    const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
    const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; img-src data:; base-uri 'none'; form-action 'none'; trusted-types 'none'; require-trusted-types-for 'script'`;
    const parts = { 'content="POLICY"': `content="${policy}"`, '/* STYLE */': style, '/* SCRIPT */': script };
    let source = readFileSync('lib/report/page/page.html', 'utf8');
    for (const [place, text] of Object.entries(parts)) source = source.replace(place, () => text);
    delete bundle[chunk.fileName];
    this.emitFile({ type: 'asset', fileName: 'report.html', source });
  },
};

const onLibrary = {
  name: 'on-the-library',
  resolveId: (source) => (source === '../index.ts' ? { id: './index.js', external: true } : undefined),
};

/** As a package manager leaves it, also for who runs it from here. */
const executable = { name: 'executable', writeBundle: ({ file }) => chmodSync(file, 0o755) };
/** dist/policy.schema.json: what lib/policy/json-schema.ts makes, in place of its code. */
const policySchema = {
  name: 'policy-schema',
  async generateBundle(_, bundle) {
    const [made] = Object.values(bundle);
    const { policyJsonSchema } = await import(`data:text/javascript,${encodeURIComponent(made.code)}`);
    const sources = ['policy', 'exec', 'syscalls'].map((name) => readFileSync(`lib/policy/${name}.ts`, 'utf8'));
    delete bundle[made.fileName];
    const source = `${JSON.stringify(policyJsonSchema(sources), null, 2)}\n`;
    this.emitFile({ type: 'asset', fileName: 'policy.schema.json', source });
  },
};

/**
 * dist/guard.js is begun by sh (lib/guard/start.sh, which a bundler would leave out as a comment). Package managers may call
 * it before they make the links to commands, which is when they set their mode.
 */
const begunBySh = {
  name: 'begun-by-sh',
  writeBundle() {
    const file = `${folder}/guard.js`;
    writeFileSync(file, readFileSync('lib/guard/start.sh', 'utf8') + readFileSync(file, 'utf8'));
  },
};

/** In a folder of its own beside the others: what these are is loaded once. */
const beside = {
  name: 'beside-the-library',
  resolveId: (source) =>
    source === '../index.ts' || source === '../testing/index.ts'
      ? { id: source.replace(/ts$/, 'js'), external: 'relative' }
      : undefined,
};

export default defineConfig([
  {
    input: 'lib/index.ts',
    platform: 'node',
    external: ['node-gyp-build'],
    // jsonc-parser's main file is no module, and cannot be bundled.
    resolve: { mainFields: ['module', 'main'] },
    plugins: [commonJs('lib/index.ts')],
    output: output(
      `${folder}/index.js`,
      `// Includes eventemitter3: MIT License, Copyright (c) 2014 Arnout Kazemier,
// valibot: MIT License, Copyright (c) Fabian Hiller,
// and jsonc-parser: MIT License, Copyright (c) Microsoft.`,
      true,
    ),
  },
  {
    input: 'lib/report/page/main.ts',
    platform: 'browser',
    plugins: [reportPage],
    output: { file: `${folder}/report-page.js`, format: 'iife', minify: true },
  },
  {
    input: 'lib/cli/main.ts',
    platform: 'node',
    plugins: [onLibrary, executable],
    output: output(
      `${folder}/cli.js`,
      `#!/usr/bin/env node
// Includes commander: MIT License, Copyright (c) 2011 TJ Holowaychuk,
// and picocolors: ISC License, Copyright (c) 2021-2024 Oleksii Raspopov, Kostiantyn Denysov, Anton Verinov.`,
      false,
    ),
  },
  {
    input: 'lib/policy/json-schema.ts',
    platform: 'node',
    plugins: [policySchema],
    output: output(`${folder}/policy.schema.js`, undefined, false),
  },
  {
    input: 'lib/guard/main.ts',
    platform: 'node',
    plugins: [onLibrary, begunBySh, executable],
    output: output(`${folder}/guard.js`, '', false),
  },
  {
    input: 'lib/testing/index.ts',
    platform: 'node',
    plugins: [commonJs('lib/testing/index.ts'), beside],
    output: output(
      `${folder}/testing/index.js`,
      '// Includes picomatch: MIT License, Copyright (c) 2017-present, Jon Schlinkert.',
      true,
    ),
  },
  {
    input: 'lib/vitest/index.ts',
    platform: 'node',
    external: ['vitest'],
    plugins: [commonJs('lib/vitest/index.ts'), beside],
    output: output(`${folder}/vitest/index.js`, undefined, true),
  },
]);
