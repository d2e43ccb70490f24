// What `npm publish` would ship, as a user gets it: packed, installed without scripts and without a compiler, run.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { buildLibrary } from '../helpers/build-library.ts';
import { patient } from '../helpers/patience.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const platform = `linux-${process.arch}`;
const addonOf = (where: string) => `prebuilds/${where}/holdfast.glibc.node`;
const supervisorOf = (where: string) => `prebuilds/${where}/holdfast-supervisor`;
const addon = addonOf(platform);
const supervisor = supervisorOf(platform);
/** CI tests what it would publish; elsewhere the products of the last build stand for it. */
const prebuilt = Boolean(process.env.HOLDFAST_TEST_PREBUILDS);
const platforms = prebuilt ? ['linux-x64', 'linux-arm64'] : [platform];
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
/** The newest glibc that the addon may need: RHEL 8 and Debian 10 have it. */
const glibcFloor = [2, 28];

const stage = temporaryFolder('stage');
const project = temporaryFolder('project');
let entries: { mode: string; name: string }[] = [];
let installed = '';
let size = 0;

const npm = (args: string[], cwd: string) => {
  const env = { ...process.env, npm_config_cache: join(stage, 'npm-cache'), npm_config_offline: 'true' };
  const result = spawnSync('npm', args, { cwd, encoding: 'utf8', env });
  if (result.status !== 0) throw new Error(`npm ${args.join(' ')}: ${result.stderr}`);
  return result;
};

const pack = (folder: string): string => {
  const [packed] = JSON.parse(
    npm(['pack', folder, '--json', '--ignore-scripts', '--pack-destination', stage], stage).stdout,
  );
  return join(stage, packed.filename);
};

beforeAll(() => {
  const source = join(stage, 'source');
  mkdirSync(source);
  for (const name of [
    'package.json',
    'LICENSE',
    'README.md',
    'CHANGELOG.md',
    'binding.gyp',
    'lib',
    'native',
    'docs',
    'test/demo',
  ]) {
    cpSync(join(root, name), join(source, name), { recursive: true });
  }
  buildLibrary(join(source, 'dist'));
  if (prebuilt) {
    cpSync(join(root, 'prebuilds'), join(source, 'prebuilds'), { recursive: true });
  } else {
    mkdirSync(join(source, 'prebuilds', platform), { recursive: true });
    copyFileSync(join(root, 'build/Release/holdfast.node'), join(source, addon));
    copyFileSync(join(root, 'build/Release/holdfast-supervisor'), join(source, supervisor));
    chmodSync(join(source, supervisor), 0o755);
  }
  const tarball = pack(source);
  size = statSync(tarball).size;
  entries = execFileSync('tar', ['-tvzf', tarball], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => ({ mode: line.slice(0, 10), name: line.replace(/^.* package\//, '') }));

  const dependencies = Object.keys(manifest.dependencies).map((name) => pack(join(root, 'node_modules', name)));
  writeFileSync(join(project, 'package.json'), '{ "private": true }');
  const result = npm(['install', tarball, ...dependencies, '--no-audit', '--no-fund'], project);
  installed = result.stdout + result.stderr;
}, patient(120_000));

describe('the tarball', () => {
  const names = () => entries.map((entry) => entry.name);

  test('has what a user needs', () => {
    expect(names()).toEqual(
      expect.arrayContaining([
        'package.json',
        'README.md',
        'LICENSE',
        'CHANGELOG.md',
        'dist/index.js',
        'dist/index.cjs',
        'dist/index.d.ts',
        'dist/cli.js',
        'dist/policy.schema.json',
        'dist/index.d.cts',
        ...['js', 'cjs', 'd.ts', 'd.cts'].flatMap((end) => [`dist/testing/index.${end}`, `dist/vitest/index.${end}`]),
        'dist/report.html',
      ]),
    );
    expect(names()).toEqual(expect.arrayContaining(['lib/index.ts', 'docs/api.md', addon, supervisor]));
  });

  // Two architectures; most of it are the supervisors.
  test.runIf(prebuilt)('is less than 3.5 MB to fetch', () => {
    expect(size).toBeLessThan(3_500_000);
  });

  test('has nothing that makes a package manager build or run anything', () => {
    expect(
      names().filter((name) =>
        /(^|\/)binding\.gyp$|^(test|build|\.ci|\.config)\/|^(?!docs\/examples\/).*\.mjs$/.test(name),
      ),
    ).toEqual([]);
    expect(manifest.gypfile).toBe(false);
    const lifecycle = ['preinstall', 'install', 'postinstall', 'prepublish', 'preprepare', 'prepare', 'postprepare'];
    expect(Object.keys(manifest.scripts).filter((name) => lifecycle.includes(name))).toEqual([]);
  });

  test.each(platforms)('keeps the supervisor executable: %s', (where) => {
    expect(entries.find((entry) => entry.name === supervisorOf(where))?.mode).toBe('-rwxr-xr-x');
  });
});

describe.each(platforms)('the binaries for %s', (where) => {
  const path = (name: string) => join(project, 'node_modules/holdfast', name);
  const tool = (...args: string[]) => execFileSync(args[0] as string, args.slice(1), { encoding: 'utf8' });

  test('are for that machine', () => {
    const machine = where === 'linux-x64' ? /X86-64/ : /AArch64/;
    for (const name of [addonOf(where), supervisorOf(where)])
      expect(tool('readelf', '-h', path(name))).toMatch(machine);
  });

  test('the supervisor needs no library and no loader', () => {
    expect(tool('readelf', '-dlW', path(supervisorOf(where)))).not.toMatch(/NEEDED|INTERP/);
  });

  test('tell nothing of where they were built', () => {
    for (const name of [addonOf(where), supervisorOf(where)]) {
      expect(readFileSync(path(name)).includes(root)).toBe(false);
      if (prebuilt) expect(tool('readelf', '-SW', path(name))).not.toMatch(/\.(symtab|debug)/);
    }
  });

  // What is built where it runs may need what is there.
  test.runIf(prebuilt)('the addon needs no newer glibc than promised, and no libstdc++', () => {
    const needs = tool('readelf', '-dVW', path(addonOf(where)));
    expect(needs).not.toMatch(/GLIBCXX|CXXABI|GCC_|lib(stdc|gcc)/);
    const versions = [...needs.matchAll(/GLIBC_(\d+)\.(\d+)/g)].map(
      (match) => Number(match[1]) * 1000 + Number(match[2]),
    );
    expect(versions.length).toBeGreaterThan(0);
    expect(Math.max(...versions)).toBeLessThanOrEqual(glibcFloor[0]! * 1000 + glibcFloor[1]!);
  });
});

test.runIf(prebuilt)('the checksums are of all binaries', () => {
  const folder = join(project, 'node_modules/holdfast/prebuilds');
  const sums = readFileSync(join(folder, 'SHA256SUMS'), 'utf8').trim().split('\n');
  expect(sums.map((line) => `prebuilds/${line.split('  ')[1]}`).sort()).toEqual(
    platforms.flatMap((where) => [addonOf(where), supervisorOf(where)]).sort(),
  );
  for (const line of sums) {
    const [sum, name = ''] = line.split('  ');
    expect(
      createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex'),
      name,
    ).toBe(sum);
  }
});

describe('installed from the tarball', () => {
  test('npm has nothing to say about scripts', () => {
    expect(installed).not.toMatch(/script|gyp/i);
    expect(existsSync(join(project, 'node_modules/holdfast/build'))).toBe(false);
  });

  test('an install takes less than 7 MB, with the binaries of one architecture', () => {
    const sizes = execFileSync('find', [join(project, 'node_modules'), '-type', 'f', '-printf', '%s %p\n'], {
      encoding: 'utf8',
    });
    const counted = sizes
      .trim()
      .split('\n')
      .map((line) => line.split(' ') as [string, string]);
    const others = counted.filter(([, path]) => path.includes('/prebuilds/') && !path.includes(`/${platform}/`));
    const total = [counted, others].map((list) => list.reduce((sum, [size]) => sum + Number(size), 0));
    expect(total[0]! - total[1]!).toBeLessThan(7_000_000);
  });

  test('an import opens a handful of files', () => {
    const line = ['-c', 'ulimit -n 32; exec "$0" --input-type=module -e "import \'holdfast\'"', process.execPath];
    const { status, stderr } = spawnSync('sh', line, { cwd: project, encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  const program = `spawnSandboxed('echo', ['from the package'], { stdio: 'inherit' }).on('close', (code) => process.exit(code ?? 99));`;
  test.each([
    ['import', ['--input-type=module', '-e', `import { spawnSandboxed } from 'holdfast'; ${program}`]],
    ['require', ['-e', `const { spawnSandboxed } = require('holdfast'); ${program}`]],
  ])('runs a program by %s', (_, args) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: project, encoding: 'utf8' });
    expect({ status, stdout, stderr }).toMatchObject({ status: 0, stdout: 'from the package\n' });
  });

  const inTest = `const sandbox = createSandbox({ files: { a: 'from a sandbox' } });
sandbox.run('cat', ['a']).then((run) => { expectRun(run).toHaveExited(0); console.log(run.stdout); return sandbox.close(); });`;
  test.each([
    ['import', ['--input-type=module', '-e', `import { createSandbox, expectRun } from 'holdfast/testing'; ${inTest}`]],
    ['require', ['-e', `const { createSandbox, expectRun } = require('holdfast/testing'); ${inTest}`]],
  ])('makes a sandbox for a test by %s, with no test framework there', (_, args) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: project, encoding: 'utf8' });
    expect({ status, stdout, stderr }).toMatchObject({ status: 0, stdout: 'from a sandbox\n' });
  });

  test('has the command, which says what this machine offers', () => {
    const { status, stdout } = npm(['exec', '--', 'holdfast', 'doctor', '--json'], project);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      version: manifest.version,
      supported: true,
      machine: { binaries: join(project, 'node_modules/holdfast', 'prebuilds', platform) },
    });
  });
});
