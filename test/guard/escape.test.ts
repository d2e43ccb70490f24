// Ways out that went by what the guard took for facts: where a script is started, what Node loads, what files are.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Tries } from '../../lib/guard/journal.ts';
import { turnIn } from '../../lib/guard/turn.ts';
import type { Violation } from '../../lib/index.ts';
import { guard, makeScene, type Scene, write } from './scene.ts';

/** As npm calls it, in a package's folder. */
function call(scene: Scene, place: string, script: string, more: NodeJS.ProcessEnv = {}) {
  const folder = join(scene.project, place);
  mkdirSync(folder, { recursive: true });
  const env = {
    npm_node_execpath: process.execPath,
    npm_lifecycle_event: 'postinstall',
    npm_package_json: join(folder, 'package.json'),
    npm_config_local_prefix: scene.project,
    INIT_CWD: scene.project,
    ...more,
  };
  return scene.run('/bin/sh', ['-c', 'cd "$0" && exec "$@"', folder, guard, '-c', script], env);
}

describe('a link where the package manager starts a script', () => {
  /** Its first script puts a link to somewhere else where its bundled package was. */
  function hostile(scene: Scene, target: string, dependencies: Record<string, string> = { inner: '1.0.0' }): void {
    const inner = { name: 'inner', version: '1.0.0', scripts: { postinstall: 'echo out > escaped; cat ~/.npmrc' } };
    const evil = scene.pack(
      {
        name: 'evil',
        dependencies,
        bundleDependencies: ['inner'],
        scripts: { preinstall: `mv node_modules/inner node_modules/.was && ln -s ${target} node_modules/inner` },
      },
      { 'node_modules/inner/package.json': JSON.stringify(inner) },
    );
    const victim = scene.pack({ name: 'victim' });
    scene.manifest({ dependencies: { evil: `file:${evil}`, victim: `file:${victim}` } });
  }

  test.each([
    ['the project', '../../..', '.'],
    ['another package', '../../victim', 'node_modules/victim'],
  ])('leads to %s: not run, by npm', async (_, target, place) => {
    const scene = makeScene();
    hostile(scene, target);
    const { code, stderr } = await scene.npm(true, ['install']);
    expect(existsSync(join(scene.project, place, 'escaped'))).toBe(false);
    expect(code).not.toBe(0);
    expect(stderr).toContain('and a link leads from there to');
    expect(stderr).toContain('holdfast-guard: 2 scripts, 1 tried what it may not');
  });

  test('not by run-scripts', async () => {
    const scene = makeScene();
    hostile(scene, '../../..', {}); // it needs nothing, so that its scripts come first
    expect(await scene.npm(false, ['install', '--ignore-scripts'])).toMatchObject({ code: 0 });
    const inner = { name: 'inner', version: '1.0.0', scripts: { postinstall: 'echo out > escaped' } };
    write(join(scene.project, 'node_modules/evil/node_modules/inner/package.json'), JSON.stringify(inner));
    const { code, stderr } = await scene.run(guard, ['run-scripts']);
    expect([code, existsSync(join(scene.project, 'escaped'))]).toEqual([1, false]);
    expect(stderr).toContain('and a link leads from there to');
  });

  test('not where it was put while another script ran: those within each other take turns', async () => {
    const scene = makeScene();
    scene.manifest({});
    const inner = 'node_modules/evil/node_modules/inner';
    write(join(scene.project, inner, 'package.json'), '{}');
    const outer = call(
      scene,
      'node_modules/evil',
      ': > began; while [ ! -e go ]; do sleep 0.05; done; mv node_modules/inner node_modules/.was; ln -s ../../.. node_modules/inner',
    );
    const evil = join(scene.project, 'node_modules/evil');
    while (!existsSync(join(evil, 'began'))) await sleep(20);
    const within = call(scene, inner, 'echo out > escaped; cat ../../../../package.json');
    const beside = await call(scene, 'node_modules/@s/other', 'echo beside'); // and nobody else
    write(join(evil, 'go'), '');
    expect([beside.stdout, (await outer).code]).toEqual(['beside\n', 0]);
    expect(await within).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('not run: ') });
    expect(existsSync(join(scene.project, 'escaped'))).toBe(false);
    await turnIn(evil);
    await expect(turnIn(evil, 0)).rejects.toThrow('does not come to its end');
  });

  test('not where nothing says the folder', async () => {
    const scene = makeScene();
    scene.manifest({});
    for (const npm_package_json of ['', 'package.json', join(scene.project, 'other.json')]) {
      const { code, stdout, stderr } = await call(scene, '.', 'echo ran', { npm_package_json });
      expect([code, stdout, stderr]).toEqual([1, '', expect.stringContaining('does not name its folder')]);
    }
  });

  test("those of the package manager and of people are no hindrance: workspaces, folders, a project's own", async () => {
    const scene = makeScene();
    const scripts = { postinstall: 'echo "$npm_config_script_shell" > ran', again: 'echo again' };
    for (const place of ['packages/w', '../beside']) {
      const name = place.replace(/.*\//, '');
      write(join(scene.project, place, 'package.json'), JSON.stringify({ name, version: '1.0.0', scripts }));
    }
    scene.manifest({ workspaces: ['packages/*'], dependencies: { beside: 'file:../beside' }, scripts });
    expect(await scene.npm(true, ['install'])).toMatchObject({ code: 0 });
    const ran = ['.', 'packages/w', '../beside'].map((place) =>
      readFileSync(join(scene.project, place, 'ran'), 'utf8'),
    );
    expect(ran).toEqual([`${guard}\n`, `${guard}\n`, '/bin/sh\n']);
    const way = join(scene.folder, 'way');
    symlinkSync(scene.project, way);
    const shell = { npm_config_script_shell: guard };
    const again = await scene.run('npm', ['--prefix', way, 'run', 'again', '--silent'], shell);
    expect(again).toMatchObject({ code: 0, stdout: 'again\n' });
    expect(await scene.run('npm', ['run', 'again', '-w', 'w', '--silent'], shell)).toMatchObject({ stdout: 'again\n' });
  });
});

test('the guard loads nothing that NODE_OPTIONS names; the own script has it', async () => {
  const scene = makeScene();
  scene.manifest({});
  const boot = `data:text/javascript,import{appendFileSync}from'fs';appendFileSync('${scene.folder}/loaded','x')`;
  const NODE_OPTIONS = `--import=${boot}`;
  const { stdout } = await call(scene, 'node_modules/a', 'echo "$NODE_OPTIONS"', { NODE_OPTIONS });
  expect(stdout).toBe('\n');
  expect(existsSync(join(scene.folder, 'loaded'))).toBe(false);
  const own = await call(scene, '.', 'echo "$NODE_OPTIONS"; env | grep -c GIVEN', { NODE_OPTIONS });
  expect(own.stdout).toBe(`${NODE_OPTIONS}\n0\n`);
  expect(existsSync(join(scene.folder, 'loaded'))).toBe(false);
});

test('a git dependency says nothing of where headers are, and nobody says that they are where keys are', async () => {
  const scene = makeScene();
  scene.manifest({});
  const header = write(join(scene.folder, 'headers/node_api.h'), 'HEADER');
  const key = write(join(scene.home, '.ssh/key'), 'KEY');
  const script = `cat ${header} ${key}; true`;
  const headers = { npm_config_devdir: join(scene.folder, 'headers') };
  expect((await call(scene, 'node_modules/a', script, headers)).stdout).toBe('HEADER');
  const clone = join(scene.cache, '_cacache/tmp/git-cloneX');
  const prepared = { npm_config_local_prefix: clone, INIT_CWD: clone, HOLDFAST_GUARD_PROJECT: scene.project };
  expect((await call(scene, `../cache/_cacache/tmp/git-cloneX`, script, { ...headers, ...prepared })).stdout).toBe('');
  const home = await call(scene, 'node_modules/a', script, { npm_config_devdir: scene.home });
  expect(home.stdout).toBe('');
});

test('npm is told which Git it is to start, where nobody has said', async () => {
  const scene = makeScene();
  scene.manifest({});
  write(join(scene.project, '.npmrc'), 'git=/nosuch/evil\n');
  expect((await scene.npm(false, ['config', 'get', 'git'])).stdout).toBe('/nosuch/evil\n');
  expect((await scene.npm(true, ['config', 'get', 'git'])).stdout).toBe('git\n');
  expect((await scene.npm(true, ['config', 'get', 'git'], { NPM_CONFIG_GIT: '/my/git' })).stdout).toBe('/my/git\n');
});

test.each([
  ['none', () => undefined, '.git/config .git/hooks/pre-commit'],
  ['a work tree', (project: string) => write(join(project, '.git'), 'gitdir: ../x\n'), '.git'],
])("own: 'guard' lets nothing be made that Git and package managers would obey: %s", async (_, lay, ofGit) => {
  const scene = makeScene();
  scene.manifest({ holdfast: { guard: { own: 'guard' } } });
  lay(scene.project);
  const names = ['.npmrc', '.yarnrc.yml', '.env', ...ofGit.split(' ')];
  const script = `mkdir -p .git/hooks; for one in ${names.join(' ')}; do echo evil > $one; rm -f $one; echo evil > x; mv x $one; done; echo built > built`;
  await call(scene, '.', script);
  expect(readFileSync(join(scene.project, 'built'), 'utf8')).toBe('built\n');
  for (const name of names) {
    const path = join(scene.project, name);
    expect([name, existsSync(path) && readFileSync(path, 'utf8')]).not.toEqual([name, 'evil\n']);
  }
  if (ofGit === '.git') expect(readFileSync(join(scene.project, '.git'), 'utf8')).toBe('gitdir: ../x\n');
});

test('a FIFO in place of package.json holds nobody up', async () => {
  const scene = makeScene();
  const a = scene.pack({ name: 'a', scripts: { preinstall: 'echo x', postinstall: 'true' } });
  scene.manifest({ dependencies: { a: `file:${a}` } });
  expect(await scene.npm(false, ['install', '--ignore-scripts'])).toMatchObject({ code: 0 });
  execFileSync('/bin/sh', ['-c', 'rm -f "$0" && mkfifo "$0"', join(scene.project, 'node_modules/a/package.json')]);
  expect(await call(scene, 'node_modules/a', 'echo ran')).toMatchObject({ code: 0, stdout: 'ran\n' });
  expect(await scene.run(guard, ['run-scripts'])).toMatchObject({ code: 0 });
});

test("a project's own files may be links", async () => {
  const scene = makeScene();
  const guarded = { holdfast: { guard: { packages: { a: { env: ['X_KEY'] } } } }, dependencies: { a: '1' } };
  symlinkSync(
    write(join(scene.folder, 'elsewhere.json'), JSON.stringify(guarded)),
    join(scene.project, 'package.json'),
  );
  const { stdout } = await call(scene, 'node_modules/a', 'echo "$X_KEY"', { X_KEY: 'x' });
  expect(stdout).toBe('x\n');
});

test('looks do not push out what was tried', () => {
  const tries = new Tries();
  const tried = (access: Violation['access'], path: string) =>
    tries.add({ access, path, syscall: 'openat', probe: false } as Violation);
  for (let i = 0; i < 300; i++) tried('metadata', `/nosuch${i}`);
  tried('read', '/home/me/.npmrc');
  expect(tries.list).toContainEqual(expect.objectContaining({ what: 'read', on: '/home/me/.npmrc', look: false }));
  expect([tries.more, tries.moreLooks]).toEqual([0, 100]);
});

test('the summary as data has nothing that a terminal obeys', async () => {
  const scene = makeScene();
  scene.manifest({});
  const name = write(join(scene.home, 'key\u009b31m\u202e\u2028'), 'KEY');
  await call(scene, 'node_modules/a', `cat '${name}'`);
  const { stdout } = await scene.run(guard, ['summary', '--json']);
  expect(stdout).not.toMatch(/[\u0080-\u009f\u202e\u2028]/);
  expect(JSON.parse(stdout)[0].tries.map(({ on }: { on: string }) => on)).toContain(name);
});
