// Binaries that are there and yet are not right: a supervisor that has lost its mode on the way, by an archive, a file system
// without modes, a copy; and what is built for another C library.

import { chmodSync, cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { supervisorPath } from '../../lib/native/native.ts';
import { buildLibrary } from '../helpers/build-library.ts';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { doctorIn, doctorOf, fails, isRoot, mounting, startIn, works } from '../helpers/places.ts';
import { runBare } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const timeout = patient(60_000);
const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = temporaryFolder('mode');
const library = new URL(`file://${folder}/dist/index.js`).href;

beforeAll(() => {
  buildLibrary(join(folder, 'dist'));
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  mkdirSync(join(folder, 'build'));
  cpSync(dirname(supervisorPath()), join(folder, 'build/Release'), {
    recursive: true,
    filter: (path) => !/obj|\.deps|prebuilds\/.*\.d/.test(path.slice(root.length)),
  });
  chmodSync(join(folder, 'build/Release/holdfast-supervisor'), 0o644);
  chmodSync(folder, 0o755);
}, patient(60_000));

const run = async (text: string, ...under: string[]) => {
  const file = join(folder, 'program.mjs');
  writeFileSync(file, `import { spawnSandboxed, createSandboxPool } from 'holdfast';\n${text}`);
  const [command, ...args] = [...under, process.execPath, file];
  return runBare(command as string, args);
};

describe('it is run from memory', () => {
  test('by a start, and by checkSupport', { timeout }, async () => {
    expect(await startIn({ library })).toEqual(works);
  });

  test('by each engine that doctor finds, and by the kernel alone where ptrace is forbidden', { timeout }, () => {
    const [installed, here] = [doctorOf(folder), doctorIn()];
    const found = (support: typeof here) => support.engines?.map(({ engine, works }) => ({ engine, works }));
    expect(found(installed)).toEqual(found(here));
    expect(installed.supported).toBe(true);
    const under = [program('life_forbid'), 'ptrace'];
    const [untraced, hereToo] = [doctorOf(folder, ...under), doctorIn(...under)];
    expect(found(untraced)).toEqual(found(hereToo));
    expect([untraced.supported, untraced.engine]).toEqual([hereToo.supported, hereToo.engine]);
  });

  test('with more descriptors than the copy has a number', { timeout }, async () => {
    const { stdout, stderr } = await run(`
      const stdio = ['ignore', 'inherit', 'inherit', ...Array.from({ length: 90 }, () => 'ignore'), 1];
      spawnSandboxed('bash', ['-c', 'echo on the last >&93 || echo no'], { stdio });`);
    expect(stdout + stderr).toBe('on the last\n');
  });

  test('of a pool, and of worker threads, one for all', { timeout }, async () => {
    const { stdout, stderr } = await run(
      `
      import { readdirSync, readlinkSync } from 'node:fs';
      import { isMainThread, Worker } from 'node:worker_threads';
      const ended = (child) => new Promise((resolve) => child.on('error', console.error).on('close', resolve));
      if (isMainThread) {
        const pool = createSandboxPool({ size: 1 });
        console.log('pool', await ended(pool.spawn('true')));
        const workers = [1, 2].map(() => new Worker(new URL(import.meta.url)));
        await Promise.all(workers.map((worker) => new Promise((resolve) => worker.on('exit', resolve))));
        const open = readdirSync('/proc/self/fd').filter((fd) => { try { return readlinkSync('/proc/self/fd/' + fd).startsWith('/memfd:holdfast-supervisor'); } catch {} });
        await pool.close();
        console.log('copies', open.length);
      } else {
        console.log('worker', await ended(spawnSandboxed('true')));
      }`,
    );
    expect(stderr).toBe('');
    expect(stdout.split('\n').sort()).toEqual(['', 'copies 1', 'pool 0', 'worker 0', 'worker 0']);
  });

  test.runIf(isRoot)('as another user (only root can become one)', { timeout }, async () => {
    const { stdout, stderr } = await run(
      `spawnSandboxed('id', ['-u'], { uid: 65534, gid: 65534, stdio: 'inherit', policy: { files: { read: ['/etc'] } } });`,
    );
    expect(stdout + stderr).toBe('65534\n');
  });

  test('the copy cannot be changed, nor reached by the tree', { timeout }, async () => {
    const { stdout, stderr } = await run(`
      import { readdirSync, readlinkSync, openSync, writeSync } from 'node:fs';
      const child = spawnSandboxed('ls', ['-l', '/proc/self/fd'], { stdio: 'inherit', policy: { files: { read: ['/'] } } });
      child.on('close', () => {
        const fd = readdirSync('/proc/self/fd').find((fd) => { try { return readlinkSync('/proc/self/fd/' + fd).startsWith('/memfd:'); } catch {} });
        try { writeSync(openSync('/proc/self/fd/' + fd, 'r+'), 'x'); console.log('written'); } catch (error) { console.log(error.code); }
      });`);
    expect(stderr).toBe('');
    expect(stdout).not.toContain('memfd');
    expect(stdout).toMatch(/^(EPERM|EACCES|ETXTBSY)$/m);
  });
});

test.runIf(isRoot)('musl, by the mark of Alpine (only root can make it)', { timeout }, async () => {
  const shipped = join(temporaryFolder('musl'), 'holdfast');
  const platform = `linux-${process.arch}`;
  mkdirSync(join(shipped, 'prebuilds', platform), { recursive: true });
  for (const name of ['dist', 'package.json']) cpSync(join(folder, name), join(shipped, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(shipped, 'node_modules'));
  const built = dirname(supervisorPath());
  const addon = existsSync(join(built, 'holdfast.node')) ? 'holdfast.node' : 'holdfast.glibc.node';
  cpSync(join(built, addon), join(shipped, 'prebuilds', platform, 'holdfast.glibc.node'));
  cpSync(join(built, 'holdfast-supervisor'), join(shipped, 'prebuilds', platform, 'holdfast-supervisor'));
  const place = { library: new URL(`file://${shipped}/dist/index.js`).href };
  expect(await startIn(place)).toEqual(works);
  const alpine = 'mount -t tmpfs none /etc; echo 3.22 > /etc/alpine-release';
  const seen = await startIn({ ...place, under: mounting(alpine) });
  expect(seen).toMatchObject(fails('ERR_HOLDFAST_NATIVE_MISSING'));
  expect(seen.message).toContain('musl');
});

// The rule holds for the pid namespace that it was made in (Linux 6.6), and for those below it.
test.runIf(isRoot)(
  'where memory is not executed either, it says so (only root can make that rule)',
  { timeout },
  async (context) => {
    const rule = 'echo 2 > /proc/sys/vm/memfd_noexec';
    const inside = ['unshare', '--pid', '--fork', '--mount-proc', 'sh', '-c'];
    const { code } = await runBare(inside[0] as string, [...inside.slice(1), `${rule} 2>/dev/null`]);
    context.skip(code !== 0, 'this kernel has no vm.memfd_noexec');
    const seen = await startIn({ library, under: [...inside, `${rule}; "$@"`, 'sh'] });
    expect(seen).toMatchObject(fails('ERR_HOLDFAST_NATIVE_MISSING'));
    expect(seen.message).toContain('chmod 755');
  },
);
