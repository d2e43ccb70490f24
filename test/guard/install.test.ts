// The guard as people set it up, by the real npm: its line in .npmrc, and scripts that mean well.
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/temp.ts';
import { guard, makeScene, root, type Scene, write } from './scene.ts';

/** As docs/guard.md has it. */
const line = `script-shell=\${PWD}/node_modules/holdfast/dist/guard.js\n`;
const stage = temporaryFolder('guard-package');
let holdfast = '';

beforeAll(() => {
  // The package as it is published, with what it depends on in it, so that no registry is needed.
  const source = join(stage, 'package');
  const built = join(source, `prebuilds/linux-${process.arch}`);
  mkdirSync(built, { recursive: true });
  cpSync(join(root, 'dist'), join(source, 'dist'), { recursive: true });
  copyFileSync(join(root, 'build/Release/holdfast.node'), join(built, 'holdfast.glibc.node'));
  copyFileSync(join(root, 'build/Release/holdfast-supervisor'), join(built, 'holdfast-supervisor'));
  const { devDependencies: _, scripts: __, ...manifest } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const bundleDependencies = Object.keys(manifest.dependencies);
  for (const name of bundleDependencies) {
    cpSync(join(root, 'node_modules', name), join(source, 'node_modules', name), { recursive: true });
  }
  writeFileSync(join(source, 'package.json'), JSON.stringify({ ...manifest, bundleDependencies }));
  holdfast = join(stage, 'holdfast.tgz');
  execFileSync('tar', ['-czf', holdfast, '-C', stage, 'package']);
});

const shellIn = (scene: Scene, name: string, event: string) => {
  const path = join(scene.project, 'node_modules', name, event);
  return existsSync(path) ? readFileSync(path, 'utf8') : 'not run';
};

/** Its scripts write down who has run them: inside, npm's shell is the plain one. */
const scripts = Object.fromEntries(
  ['preinstall', 'install', 'postinstall'].map((event) => [event, `echo "$npm_config_script_shell" > ${event}`]),
);
const own = 'echo own > own';

describe('the line in .npmrc', () => {
  const owned = (scene: Scene) => join(scene.folder, 'owned');

  /** It has programs of its own where npm's PATH begins, and where a relative path leads. */
  function hostile(scene: Scene): string {
    const bad = `#!/bin/sh\necho "$0" >> '${owned(scene)}'\n`;
    const names = ['node', 'sh', 'env', 'readlink', 'sed', 'holdfast-guard'].map((name) => `node_modules/.bin/${name}`);
    const files = Object.fromEntries([...names, 'node_modules/holdfast/dist/guard.js'].map((name) => [name, bad]));
    return scene.pack({ name: 'hostile', scripts }, files);
  }

  const depend = (scene: Scene, more: Record<string, string> = {}) =>
    scene.manifest({
      scripts: { postinstall: own },
      dependencies: { holdfast: `file:${holdfast}`, hostile: `file:${hostile(scene)}`, ...more },
    });

  test('is the one in the documentation', () => {
    expect(readFileSync(join(root, 'docs/guard.md'), 'utf8')).toContain(`| \`${line.trim()}\` | \`.npmrc\` |`);
  });

  test('holds from the first script of the first install on; the project runs its own', async () => {
    const scene = makeScene();
    depend(scene, { '@s/quiet': `file:${scene.pack({ name: '@s/quiet', scripts })}` });
    write(join(scene.project, '.npmrc'), line);
    const { code, stderr } = await scene.npm(false, ['install'], { PWD: scene.project, CI: '1' });
    expect([code, stderr]).toEqual([0, '']);
    for (const event of Object.keys(scripts)) {
      expect([event, shellIn(scene, 'hostile', event)]).toEqual([event, '/bin/sh\n']);
      expect([event, shellIn(scene, '@s/quiet', event)]).toEqual([event, '/bin/sh\n']);
    }
    expect(existsSync(owned(scene))).toBe(false);
    expect(existsSync(join(scene.project, 'own'))).toBe(true);
    const { stdout } = await scene.run(join(scene.project, 'node_modules/.bin/holdfast-guard'), ['summary']);
    expect(stdout).toMatch(/✓ @s\/quiet@1\.0\.0 preinstall: succeeded/);
    expect(stdout).toContain('holdfast-guard: 6 scripts, none tried what it may not');
  });

  // Why no other line is recommended: npm looks for it from the package's folder, and in its PATH.
  test('another line leads to what a package has brought', async () => {
    const shells = ['./node_modules/.bin/holdfast-guard', './node_modules/holdfast/dist/guard.js', 'holdfast-guard'];
    const scenes = shells.map((shell) => {
      const scene = makeScene();
      scene.manifest({ dependencies: { hostile: `file:${hostile(scene)}` } });
      write(join(scene.project, '.npmrc'), `script-shell=${shell}\n`);
      return scene;
    });
    await Promise.all(scenes.map((scene) => scene.npm(false, ['install'], { PWD: scene.project })));
    for (const scene of scenes) expect(readFileSync(owned(scene), 'utf8')).toContain('guard');
  });
});

describe('scripts that mean well', () => {
  /** Where Node's headers are: this project was built by them, too. */
  const nodedir = [
    join(dirname(process.execPath), '..'),
    process.env.npm_config_nodedir ?? '/usr',
    join(homedir(), '.cache/node-gyp', process.version.slice(1)),
  ].find((folder) => existsSync(join(folder, 'include/node/node_api.h')));
  const note = { name: 'note', scripts: { postinstall: 'node thanks.js' } };
  const thanks = { 'thanks.js': "console.log('Thank you for using', process.env.npm_package_name);\n" };
  const addon = {
    'binding.gyp': JSON.stringify({ targets: [{ target_name: 'tiny', sources: ['tiny.c'] }] }),
    'tiny.c': `#include <node_api.h>
static napi_value init(napi_env env, napi_value exports) {
  napi_value value;
  napi_create_int32(env, 42, &value);
  napi_set_named_property(env, exports, "answer", value);
  return exports;
}
NAPI_MODULE(tiny, init)
`,
    'index.js': 'module.exports = require("./build/Release/tiny.node").answer;\n',
  };

  test.skipIf(nodedir === undefined)(
    'compile by node-gyp (needs Node’s headers), say thanks, look at others, and run scripts of their own',
    async () => {
      const scene = makeScene();
      const pick = {
        name: 'pick',
        scripts: {
          postinstall: 'ls ../tiny > seen && npm --version > npm && npm run inner',
          inner: 'python3 -c "import tempfile; tempfile.mkstemp()" && echo pick > ran',
        },
      };
      const names = {
        note: scene.pack(note, thanks),
        tiny: scene.pack({ name: 'tiny' }, addon),
        pick: scene.pack(pick),
      };
      scene.manifest({
        dependencies: Object.fromEntries(Object.entries(names).map(([name, path]) => [name, `file:${path}`])),
      });
      const { code, stdout, stderr } = await scene.npm(true, ['install', '--foreground-scripts'], {
        npm_config_nodedir: nodedir,
        HOLDFAST_GUARD: 'strict',
      });
      expect(stderr).toContain('holdfast-guard: 3 scripts, none tried what it may not');
      expect(code).toBe(0);
      expect(stdout).toContain('Thank you for using note');
      const answer = await scene.run(process.execPath, ['-p', 'require("tiny")']);
      expect(answer.stdout).toBe('42\n');
      expect(readFileSync(join(scene.project, 'node_modules/pick/ran'), 'utf8')).toBe('pick\n');
      expect(readFileSync(join(scene.project, 'node_modules/pick/npm'), 'utf8')).toMatch(/^\d+\./);
    },
  );
});

describe('run-scripts', () => {
  test('runs what npm would, in its order, of what was installed without scripts', async () => {
    const scene = makeScene();
    write(join(scene.home, '.ssh/key'), 'KEY');
    const last = scene.pack({
      name: 'a',
      dependencies: { b: '1.0.0' },
      scripts: { postinstall: 'cat ../b/built > seen; exit 3' },
    });
    const first = scene.pack({ name: 'b', scripts: { install: 'echo b > built', postinstall: 'cat ~/.ssh/key' } });
    const gyp = scene.pack({ name: 'c' }, { 'binding.gyp': '{ not: gyp' });
    scene.manifest({ dependencies: { a: `file:${last}`, b: `file:${first}`, c: `file:${gyp}` } });
    expect(await scene.npm(false, ['install', '--ignore-scripts'])).toMatchObject({ code: 0 });
    const { code, stderr } = await scene.run(guard, ['run-scripts']);
    expect(code).toBe(1);
    expect(readFileSync(join(scene.project, 'node_modules/a/seen'), 'utf8')).toBe('b\n');
    const told = [
      'b@1.0.0 install: succeeded',
      'b@1.0.0 postinstall: failed with 1',
      'a@1.0.0 postinstall: failed with 3',
    ];
    const places = [...told, 'c@1.0.0 install: failed'].map((line) => stderr.indexOf(line));
    expect(places.every((place) => place >= 0)).toBe(true);
    expect(places[0]).toBeLessThan(places[2] ?? 0);
    expect(stderr).toContain('refused: read ~/.ssh/key ');
    expect(stderr).toContain('holdfast-guard: a script of node_modules/a has failed');

    const some = await scene.run(guard, ['run-scripts', 'b', '--strict']);
    expect([some.code, some.stderr]).toEqual([
      1,
      expect.stringContaining('holdfast-guard: 2 scripts, 1 tried what it may not'),
    ]);
    const none = await scene.run(guard, ['run-scripts', 'nosuch']);
    expect([none.code, none.stderr]).toEqual([125, expect.stringContaining('nosuch is not installed in')]);
  });

  test('is what who takes no shell is sent to', async () => {
    const scene = makeScene();
    scene.manifest({});
    const { code, stderr } = await scene.run(guard, ['bun', 'install']);
    expect([code, stderr]).toEqual([125, expect.stringContaining('`holdfast-guard run-scripts`')]);
    const missing = await scene.run(guard, ['nosuch-manager', 'install']);
    expect([missing.code, missing.stderr]).toEqual([127, expect.stringContaining('nosuch-manager')]);
    write(join(scene.project, '.pnp.cjs'), '');
    expect((await scene.run(guard, ['run-scripts'])).stderr).toContain('nodeLinker: node-modules');
  });
});
