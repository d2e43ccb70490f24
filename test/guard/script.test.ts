// `holdfast-guard -c SCRIPT`, called as npm and pnpm call a script-shell, without them.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callerOf, exceptionFor } from '../../lib/guard/caller.ts';
import { readSettings } from '../../lib/guard/settings.ts';
import { guard, makeScene, type Ran, root, type Scene, write } from './scene.ts';

const npmLike = (scene: Scene, folder: string): NodeJS.ProcessEnv => ({
  HOME: scene.home,
  TMPDIR: scene.env.TMPDIR,
  PATH: `${folder}/node_modules/.bin:${scene.project}/node_modules/.bin:${process.env.PATH}`,
  npm_node_execpath: process.execPath,
  npm_lifecycle_event: 'postinstall',
  npm_package_json: join(folder, 'package.json'),
  npm_config_local_prefix: scene.project,
  INIT_CWD: scene.project,
});

interface Called extends Ran {
  signal: NodeJS.Signals | null;
}

/** In a package's folder, by its way from the project. */
function call(scene: Scene, place: string, script: string, more: NodeJS.ProcessEnv = {}, args = ['-c', script]) {
  const folder = join(scene.project, place);
  mkdirSync(folder, { recursive: true });
  return new Promise<Called>((resolve, reject) => {
    const env = { ...npmLike(scene, folder), ...more };
    const child = spawn(guard, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const called: Called = { code: null, signal: null, stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text) => {
        called[name] += text;
      });
    }
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ ...called, code, signal }));
  });
}

function scene(guardSettings?: unknown, more: Record<string, unknown> = {}): Scene {
  const made = makeScene();
  made.manifest({ ...more, ...(guardSettings !== undefined && { holdfast: { guard: guardSettings } }) });
  return made;
}

const named = (made: Scene, place: string, manifest: Record<string, unknown>) =>
  write(join(made.project, place, 'package.json'), JSON.stringify(manifest));

const server = createServer((_, response) => response.end('hello'));
let port = 0;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => void server.close());

/** Prints what the server says, or why not. */
const fetching = (host: string) =>
  `"$npm_node_execpath" -e "require('http').get('http://${host}:${port}', (r) => r.pipe(process.stdout)).on('error', (e) => console.log(e.code))"`;

describe('a script', () => {
  test('ends the guard as it has ended', async () => {
    const made = scene();
    const ends = ['exit 3', 'kill -TERM $$', 'kill -KILL $$', 'echo out; echo err >&2'];
    const ended = await Promise.all(ends.map((script) => call(made, 'node_modules/a', script)));
    expect(ended.map(({ code, signal }) => code ?? signal)).toEqual([3, 'SIGTERM', 'SIGKILL', 0]);
    expect([ended[3]?.stdout, ended[3]?.stderr]).toEqual(['out\n', 'err\n']);
  });

  test('fails for what it tried, where strictness is asked for', async () => {
    const [made, strict] = [scene(), scene({ strict: true })];
    const tries = 'cat ~/.key; true';
    for (const one of [made, strict]) write(join(one.home, '.key'), 'KEY');
    const ended = await Promise.all([
      call(made, 'node_modules/a', tries),
      call(made, 'node_modules/a', tries, { HOLDFAST_GUARD: 'strict' }),
      call(strict, 'node_modules/a', tries),
      call(strict, 'node_modules/a', '[ -e ~/.key ]; test -r ~/.key; nosuch-program; true'),
      call(strict, 'node_modules/a', `${tries}; exit 7`),
    ]);
    expect(ended.map(({ code }) => code)).toEqual([0, 1, 1, 0, 7]);
    expect(ended[1]?.stderr).toContain('strict: the script fails for what it tried');
  });

  test('is given an environment by a list of names', async () => {
    const secret = 's3cret';
    const hidden = Object.fromEntries(
      [
        ...['NPM_TOKEN', 'NODE_AUTH_TOKEN', 'GITHUB_TOKEN', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE', 'DATABASE_URL'],
        ...[
          'npm_config__auth',
          'npm_config_//registry.npmjs.org/:_authToken',
          'npm_config__authToken',
          'npm_config_otp',
        ],
        ...[
          'npm_config_userconfig',
          'npm_config_https_proxy',
          'npm_config_key',
          'npm_package_config_token',
          'SSH_AUTH_SOCK',
        ],
      ].map((name) => [name, secret]),
    );
    const given = {
      NODE_OPTIONS: '--max-old-space-size=512',
      CC: 'gcc',
      LC_ALL: 'C',
      npm_config_cache: '/x',
      npm_config_package_lock: 'true',
      CI: '1',
    };
    const password = { npm_config_registry: `https://me:${secret}@registry.example/` };
    const made = scene({ packages: { a: { env: ['SENTRYCLI_CDNURL'] } } }, { dependencies: { a: '1' } });
    const more = { ...hidden, ...given, ...password, SENTRYCLI_CDNURL: 'https://cdn.example' };
    const { stdout } = await call(made, 'node_modules/a', 'env -0', more);
    const names = stdout.split('\0').map((line) => line.split('=')[0] ?? '');
    expect(stdout).not.toContain(secret);
    expect(names).toEqual(expect.arrayContaining([...Object.keys(given), 'SENTRYCLI_CDNURL', 'npm_lifecycle_event']));
    expect(stdout).toContain('npm_config_script_shell=/bin/sh\0');
    // A debugger's, which lies where the script may not read.
    const NODE_OPTIONS = `--require ${write(join(made.home, 'boot.cjs'), '')}`;
    expect(await call(made, 'node_modules/a', '"$npm_node_execpath" -p 42', { NODE_OPTIONS })).toMatchObject({
      stdout: '42\n',
    });
  });

  test('does not choose what runs the guard, by names in PATH', async () => {
    const made = scene();
    for (const name of readdirSync('/usr/bin').filter((entry) =>
      /^(?:node|sh|env|readlink|dirname|sed|test|\[)$/.test(entry),
    )) {
      write(
        join(made.project, 'node_modules/a/node_modules/.bin', name),
        `#!/bin/sh\n: > ${made.folder}/owned\n`,
        0o755,
      );
    }
    write(join(made.project, 'node_modules/a/node_modules/.bin/node'), `#!/bin/sh\n: > ${made.folder}/owned\n`, 0o755);
    for (const more of [{}, { npm_node_execpath: undefined }, { npm_node_execpath: '/opt/pnpm' }]) {
      const { code, stdout } = await call(made, 'node_modules/a', 'echo ran; node', more);
      expect([code, stdout]).toEqual([expect.any(Number), 'ran\n']);
    }
    expect(existsSync(join(made.folder, 'owned'))).toBe(false);
    const modules = { npm_node_execpath: undefined, PATH: join(made.project, 'node_modules/a/node_modules/.bin') };
    const { code, stderr } = await call(made, 'node_modules/a', 'true', modules);
    expect([code, stderr]).toEqual([125, expect.stringContaining('no Node in PATH')]);
  });

  test('has a temporary folder of its own, and may write its package', async () => {
    const made = scene();
    const script = 'echo x > built && echo y > "$TMPDIR/z" && echo "$TMPDIR" && mkdir -p ~/.cache/x; ls ..';
    write(join(made.project, 'node_modules/b/package.json'), '{}');
    const { code, stdout, stderr } = await call(made, 'node_modules/a', script);
    const [temporary = '', ...rest] = stdout.trim().split('\n');
    expect([code, rest]).toEqual([0, ['a', 'b']]);
    expect(existsSync(temporary)).toBe(false);
    expect(existsSync(join(made.home, '.cache'))).toBe(false);
    expect(readFileSync(join(made.project, 'node_modules/a/built'), 'utf8')).toBe('x\n');
    expect(stderr).toContain('refused: write ');
  });

  test("does not read the package manager's settings for the whole machine", async () => {
    const made = scene();
    const settings = write(join(made.project, 'node_modules/a/global-npmrc'), '//r/:_authToken=5ecret'); // where it could read all else
    const more = { npm_config_globalconfig: settings };
    const { stdout } = await call(made, 'node_modules/a', 'cat global-npmrc; ls', more);
    expect(stdout).toBe('global-npmrc\n');
  });

  test('is not run where it is not said, or not clear, what it may do', async () => {
    const made = scene();
    for (const args of [['-c'], ['-c', 'true', 'more']]) {
      expect((await call(made, 'node_modules/a', '', {}, args)).code).toBe(125);
    }
    const inHome = await call(made, 'node_modules/a', 'echo ran', {
      HOME: join(realpathSync(made.project), 'node_modules/a/home'),
    });
    expect(inHome).toMatchObject({
      code: 125,
      stdout: '',
      stderr: expect.stringContaining('ERR_HOLDFAST_INVALID_GUARD'),
    });
    const wrong = await call(made, 'node_modules/a', 'echo ran', { HOLDFAST_GUARD: 'off' });
    expect(wrong).toMatchObject({ code: 125, stdout: '', stderr: expect.stringContaining("must be 'strict'") });
  });
});

describe('whose script it is', () => {
  const shell = 'echo "$npm_config_script_shell"; cat ~/.key';

  test.each([
    ['the project', '.', false],
    ['a package of its workspace', 'packages/one', false],
    ['a dependency', 'node_modules/a', true],
    ['a dependency of a workspace package', 'packages/one/node_modules/@s/a', true],
    ['a git dependency that is prepared in a cache within the project', '.npm/_cacache/tmp/git-cloneXY', true],
    ['a store within the project', '.pnpm-store/v10/tmp/x', true],
  ])('%s', async (_, place, guarded) => {
    const made = scene();
    write(join(made.home, '.key'), 'KEY');
    const { stdout } = await call(made, place, shell);
    expect(stdout).toBe(guarded ? '/bin/sh\n' : '\nKEY');
  });

  test('a git dependency that npm prepares elsewhere', async () => {
    const made = scene();
    write(join(made.home, '.key'), 'KEY');
    const clone = 'npm-cache/_cacache/tmp/git-cloneXY';
    write(join(made.folder, clone, 'package.json'), '{}');
    const prefix = join(made.folder, clone);
    const { stdout } = await call(made, `../${clone}`, shell, { npm_config_local_prefix: prefix, INIT_CWD: prefix });
    expect(stdout).toBe('/bin/sh\n');
  });

  test("own: 'guard' holds the project's own, too, without its hooks", async () => {
    const made = scene({ own: 'guard' });
    write(join(made.home, '.key'), 'KEY');
    write(join(made.project, '.git/hooks/pre-commit'), '');
    const script = `${shell}; echo x > built; echo x >> .git/hooks/pre-commit`;
    const { stdout } = await call(made, '.', script);
    expect(stdout).toBe('/bin/sh\n');
    expect(existsSync(join(made.project, 'built'))).toBe(true);
    expect(readFileSync(join(made.project, '.git/hooks/pre-commit'), 'utf8')).toBe('');
  });
});

describe('an exception', () => {
  test('gives a package what it says, and nobody else', async () => {
    const made = scene(
      {
        packages: {
          a: { network: [`127.0.0.1:${port}`], write: ['~/.cache/a', 'made.json'], read: ['vendor'] },
          b: { network: [`http://localhost:${port}/`] },
          c: { skip: true },
        },
      },
      { dependencies: { a: '1', b: '1', c: '1', d: '1' } },
    );
    write(join(made.project, 'vendor/x'), 'X');
    const script = `${fetching('127.0.0.1')}; echo; echo y > ~/.cache/a/y; cat ../../vendor/x`;
    const [a, b, c, d] = await Promise.all([
      call(made, 'node_modules/a', script),
      call(made, 'node_modules/b', fetching('localhost')),
      call(made, 'node_modules/c', 'echo ran'),
      call(made, 'node_modules/d', script),
    ]);
    expect([a?.stdout, b?.stdout, c?.stdout, d?.stdout]).toEqual(['hello\nX', 'hello', '', 'EACCES\n\n']);
    expect(c?.code).toBe(0);
    expect(a?.stderr).toContain('made.json may be written, but is not there: make it first');
    expect(readFileSync(join(made.home, '.cache/a/y'), 'utf8')).toBe('y\n');
  });

  const lock = (packages: Record<string, unknown>) => (made: Scene) =>
    write(join(made.project, 'package-lock.json'), JSON.stringify({ lockfileVersion: 3, packages }));
  const esbuild = { name: 'esbuild', version: '1.0.0' };
  const from = (name: string) => ({
    version: '1.0.0',
    resolved: `https://registry.npmjs.org/${name}/-/${name}-1.0.0.tgz`,
    integrity: 'sha512-x',
  });
  const nested = 'node_modules/p/node_modules/esbuild';
  const nothing = () => undefined;

  test.each<[string, string, string, object, (made: Scene) => unknown, boolean]>([
    ['of what the project names', 'node_modules/esbuild', 'esbuild', esbuild, nothing, true],
    ['not of another folder that calls itself so', 'node_modules/evil', 'esbuild', esbuild, nothing, false],
    ['not of an alias that somebody else has made', nested, 'esbuild', esbuild, nothing, false],
    [
      'not of an alias in the lock file',
      nested,
      'esbuild',
      esbuild,
      lock({ [nested]: { ...from('evil'), name: 'evil' } }),
      false,
    ],
    [
      'not of what comes from elsewhere',
      nested,
      'esbuild',
      esbuild,
      lock({ [nested]: { ...from('esbuild'), resolved: 'https://evil.example/esbuild/-/esbuild-1.0.0.tgz' } }),
      false,
    ],
    [
      "not of somebody's scope",
      nested,
      'esbuild',
      esbuild,
      lock({
        [nested]: { ...from('esbuild'), resolved: 'https://registry.npmjs.org/@evil/esbuild/-/esbuild-1.0.0.tgz' },
      }),
      false,
    ],
    [
      "not of somebody's scope in other letters",
      nested,
      'esbuild',
      esbuild,
      lock({
        [nested]: { ...from('x'), resolved: 'https://registry.npmjs.org/%40evil%2fesbuild/-/esbuild-1.0.0.tgz' },
      }),
      false,
    ],
    [
      'not of a name that is only on the way',
      nested,
      'esbuild',
      esbuild,
      lock({
        [nested]: { ...from('x'), resolved: 'https://registry.npmjs.org/esbuild/-/../../evil/-/evil-1.0.0.tgz' },
      }),
      false,
    ],
    ['of what the lock file proves', nested, 'esbuild', esbuild, lock({ [nested]: from('esbuild') }), true],
    [
      'of a version that the lock file proves',
      nested,
      'esbuild@1.0.0',
      esbuild,
      lock({ [nested]: from('esbuild') }),
      true,
    ],
    ['not of another version', nested, 'esbuild@1.0.1 || 1.0.2', esbuild, lock({ [nested]: from('esbuild') }), false],
    ['not of a version that only the package says', 'node_modules/esbuild', 'esbuild@1.0.0', esbuild, nothing, false],
    [
      'of what pnpm has put there',
      'node_modules/.pnpm/esbuild@1.0.0_x@2/node_modules/esbuild',
      'esbuild@1.0.0',
      esbuild,
      nothing,
      true,
    ],
    [
      'not of a tarball that pnpm has put there',
      'node_modules/.pnpm/esbuild@https+++evil/node_modules/esbuild',
      'esbuild',
      esbuild,
      nothing,
      false,
    ],
  ])('counts or does not: %s', (_, place, key, manifest, lay, counts) => {
    const made = scene({ packages: { [key]: { env: ['X_KEY'] } } }, { dependencies: { esbuild: '^1.0.0' } });
    named(made, place, manifest as Record<string, unknown>);
    lay(made);
    const env = npmLike(made, join(made.project, place));
    const { exceptions } = readSettings(made.project);
    const { exception, note } = exceptionFor(callerOf(env, join(made.project, place)), exceptions, env);
    expect(exception?.key).toBe(counts ? key : undefined);
    expect(note).toEqual(counts ? undefined : expect.stringContaining(`an exception does not count: ${key}: `));
  });

  test('is nothing that a dependency can give itself', async () => {
    const made = scene(undefined, { dependencies: { a: '1' } });
    const own = {
      name: 'a',
      holdfast: { guard: { own: 'run', packages: { a: { network: ['*:*'], env: ['X_KEY'] } } } },
    };
    named(made, 'node_modules/a', own);
    const grant = `echo '${JSON.stringify(own)}' > ../../package.json; ${fetching('127.0.0.1')}; echo "$X_KEY"`;
    const { stdout } = await call(made, 'node_modules/a', grant, { X_KEY: 'X' });
    expect(stdout).toBe('EACCES\n\n');
  });
});

test('what the documentation says for an example is right', () => {
  const page = readFileSync(join(root, 'docs/guard.md'), 'utf8');
  const [, example = ''] = /```text\n("holdfast": \{[\s\S]*?\n\})\n```/.exec(page) ?? [];
  const made = makeScene();
  made.manifest(JSON.parse(`{${example}}`));
  const { strict, exceptions } = readSettings(made.project);
  expect([strict, exceptions.map(({ key }) => key)]).toEqual([
    true,
    ['electron', '@sentry/cli@2.58.2 || 2.58.3', 'husky'],
  ]);
});

describe('settings that are wrong', () => {
  test.each<[string, unknown, string]>([
    ['no object', [], 'holdfast.guard must be an object: []'],
    ['a field', { stricter: true }, "holdfast.guard.stricter is no such field (did you mean 'strict'?)"],
    ['a word', { own: 'never' }, "holdfast.guard.own must be 'run' or 'guard': 'never'"],
    ['packages', { packages: ['a'] }, "holdfast.guard.packages must be an object: [ 'a' ]"],
    ['a name', { packages: { 'a b': {} } }, 'holdfast.guard.packages.a b is no name of a package'],
    ['a range', { packages: { 'a@^1.0.0': {} } }, "'^1.0.0' is no exact version, such as a@1.2.3 || 1.2.4"],
    ['an exception', { packages: { a: true } }, 'holdfast.guard.packages.a must be an object: true'],
    [
      "an exception's field",
      { packages: { a: { netwrok: [] } } },
      "packages.a.netwrok is no such field (did you mean 'network'?)",
    ],
    ['a list', { packages: { a: { read: '/x' } } }, "packages.a.read must be a list of paths: '/x'"],
    ['an address', { packages: { a: { network: ['*:99999'] } } }, 'packages.a.network[0] is no name of a host'],
    [
      'a scheme',
      { packages: { a: { network: ['ftp://x'] } } },
      "packages.a.network[0] must be a URL of http: or https:: 'ftp://x'",
    ],
    [
      'a path',
      { packages: { a: { read: ['../x'] } } },
      "packages.a.read[0] must be an absolute path, one that begins with ~/, or one below the project: '../x'",
    ],
    ['a pattern', { packages: { a: { read: ['/x/*'] } } }, 'packages.a.read[0] must be an absolute path'],
    ['a home', { packages: { a: { read: ['~'] } } }, 'packages.a.read[0] would open '],
    ['keys', { packages: { a: { write: ['~/.ssh/x'] } } }, ".ssh, which no package gets: '~/.ssh/x'"],
    ['hooks of Git', { packages: { a: { write: ['.git/hooks'] } } }, ".git, which no package gets: '.git/hooks'"],
  ])('%s: the field is named', (_, settings, message) => {
    const made = scene(settings);
    const wrong = expect.objectContaining({
      code: 'ERR_HOLDFAST_INVALID_GUARD',
      message: expect.stringContaining(message),
    });
    expect(() => readSettings(made.project)).toThrow(wrong);
  });

  test('nothing runs, and nothing is installed', async () => {
    const made = scene({ packages: { a: { netwrok: [] } } });
    const { code, stdout, stderr } = await call(made, 'node_modules/a', 'echo ran');
    expect([code, stdout]).toEqual([125, '']);
    expect(stderr).toContain(
      `HoldfastError [ERR_HOLDFAST_INVALID_GUARD]: ${made.project}/package.json: holdfast.guard.`,
    );
    const around = await made.run(guard, ['node', '-e', 'console.log("ran")']);
    expect(around).toMatchObject({ code: 125, stdout: '', stderr: expect.stringContaining("did you mean 'network'?") });
  });
});
