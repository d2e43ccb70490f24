import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { compare } from './compare.ts';

const shelf = temporaryFolder('shelf');
const prefix = dirname(dirname(realpathSync(process.execPath)));
const hasHeaders = existsSync(join(prefix, 'include/node/node_api.h'));

function pack(name: string, files: Record<string, string>, about: object = {}): void {
  const folder = join(shelf, name, 'package');
  mkdirSync(folder, { recursive: true });
  const description = { name, version: '1.0.0', main: 'index.js', ...about };
  for (const [file, text] of Object.entries({ 'package.json': JSON.stringify(description), ...files })) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text, { mode: text.startsWith('#!') ? 0o755 : 0o644 });
  }
  const packed = spawnSync('tar', ['-czf', join(shelf, `${name}-1.0.0.tgz`), '-C', join(shelf, name), 'package']);
  expect(packed.status).toBe(0);
}

beforeAll(() => {
  const tarball = (name: string) => `file:${join(shelf, `${name}-1.0.0.tgz`)}`;
  pack('leaf', { 'index.js': "module.exports = () => 'leaf';\n", 'lib/more.js': 'module.exports = 1;\n' });
  pack(
    'tool',
    {
      'index.js': "module.exports = 'tool';\n",
      'cli.js': "#!/usr/bin/env node\nconsole.log('tool', process.argv.slice(2));\n",
    },
    { bin: { tool: './cli.js' } },
  );
  pack(
    'branch',
    {
      'index.js': "module.exports = () => 'branch of ' + require('leaf')();\n",
      'made.js': "require('node:fs').writeFileSync('made.txt', require('leaf')() + process.env.npm_lifecycle_event);\n",
    },
    {
      dependencies: { leaf: tarball('leaf'), tool: tarball('tool') },
      scripts: { postinstall: 'node made.js && tool from a script' },
    },
  );
  pack(
    'compiled',
    {
      'index.js':
        "module.exports = require('node:child_process').execFileSync(__dirname + '/build/answer').toString();\n",
      'answer.c': '#include <stdio.h>\nint main(void) { puts("compiled answer"); return 0; }\n',
      Makefile: 'build/answer: answer.c\n\tmkdir -p build\n\tgcc -O1 -o $@ $<\n',
    },
    { scripts: { install: 'make -s' } },
  );
  pack(
    'native',
    {
      'index.js': "module.exports = require('./build/Release/native.node').answer();\n",
      'binding.gyp': '{ "targets": [{ "target_name": "native", "sources": ["native.c"] }] }\n',
      'native.c': `#include <node_api.h>
static napi_value answer(napi_env env, napi_callback_info info) {
  (void)info; napi_value value; napi_create_int32(env, 42, &value); return value;
}
NAPI_MODULE_INIT() {
  napi_value f; napi_create_function(env, "answer", NAPI_AUTO_LENGTH, answer, NULL, &f);
  napi_set_named_property(env, exports, "answer", f); return exports;
}
`,
    },
    { gypfile: true, scripts: { install: 'node-gyp rebuild' } },
  );
});

const env = {
  npm_config_offline: 'true',
  npm_config_audit: 'false',
  npm_config_fund: 'false',
  npm_config_update_notifier: 'false',
  npm_config_userconfig: '/dev/null',
  npm_config_foreground_scripts: 'true',
  npm_config_ignore_scripts: 'false',
  npm_config_nodedir: prefix,
  npm_config_logs_max: '0',
};

function project(dependencies: string[]) {
  return (folder: string) =>
    writeFileSync(
      join(folder, 'package.json'),
      JSON.stringify({
        name: 'project',
        version: '1.0.0',
        dependencies: Object.fromEntries(
          dependencies.map((name) => [name, `file:${join(shelf, `${name}-1.0.0.tgz`)}`]),
        ),
        scripts: {
          start: `node -p "[${dependencies.map((name) => `'${name}'`)}].map((name) => { const got = require(name); return typeof got === 'function' ? got() : got; })"`,
        },
      }),
    );
}

const quiet = (text: string) => text.replace(/\bin \d+(\.\d+)?(ms|s|m)\b/g, 'in TIME');
// npm's cache and logs are named by time; a compiled file may hold one.
const changing = /^home\/\.npm\/|^home\/\.cache\/|\.node$|^node_modules\/native\/build\//;

test('npm install of a package with dependencies, install scripts and a build with make', {
  timeout: patient(240_000),
}, async () => {
  const { bare } = await compare({
    prepare: project(['branch', 'compiled']),
    read: [shelf],
    env,
    script:
      'npm install 2>&1 && npm start -s && npx --no tool by npx && npm ls --all && cat node_modules/branch/made.txt',
    normalise: quiet,
    volatile: changing,
  });
  expect(bare.stdout).toContain('branch of leaf');
  expect(bare.stdout).toContain('compiled answer');
});

test.skipIf(!hasHeaders)(
  // node-gyp would have to download Node's headers
  "npm install with a build by node-gyp (where Node's headers are installed)",
  { timeout: patient(300_000) },
  async () => {
    const { bare } = await compare({
      prepare: project(['native', 'leaf']),
      read: [shelf],
      env,
      script: 'npm install > log 2>&1; echo $?; npm start -s; tail -30 log | grep -i err',
      normalise: quiet,
      volatile: new RegExp(`${changing.source}|^log$`),
      code: 1,
    });
    expect(bare.stdout).toContain('42');
  },
);
