// Descriptors that go from one process of the tree to another one with fewer rights: on every layer the kernel's own answers.
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { type Policy, spawnSandboxed } from 'holdfast';
import { expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const system = ['/usr', '/lib', '/lib64', '/bin', '/etc', program('handed_over')];

const folder = () => {
  const made = temporaryFolder('handed');
  chmodSync(made, 0o755); // another user walks through it
  return made;
};

let bare: Promise<string> | undefined;

test.each<[string, Partial<Policy>, boolean]>([
  ['held', {}, true],
  ['opens left to the kernel', {}, false],
  ['looks and opens', { files: { metadata: ['/'] } }, false],
  ['all that can be', { files: { metadata: ['/'] }, defaults: { proc: false } }, false],
])('%s: what a process may not, it may not by what it is handed', async (_, more, listened) => {
  bare ??= runBare(program('handed_over'), [folder()]).then(({ code, stdout }) =>
    code === 0 ? stdout : `ended ${code}`,
  );
  const place = folder();
  const every = [`unix:${place}`];
  const policy: Policy = {
    ...more,
    files: { read: [...system, place], write: [place], ...more.files },
    network: { connect: every, bind: every },
  };
  const child = spawnSandboxed(program('handed_over'), [place], {
    policy,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (listened) child.on('violation', () => {});
  let told = '';
  child.stdout?.on('data', (chunk) => {
    told += chunk;
  });
  const [code] = await once(child as never, 'close');
  expect(code).toBe(0);
  expect(told.split('\n')).toEqual((await bare).split('\n'));
  expect(told).toMatch(/^same open by path: ok$/m);
  if (process.getuid?.() === 0) expect(told).toMatch(/^other-user reopen: EACCES$/m);
});

// A thread has the rights of the one that makes it, and a worker that waits makes another, while it wears its caller's.
test.skipIf(process.getuid?.() !== 0)(
  'many at once: no worker keeps the rights of a caller (root alone can change its ids)',
  async () => {
    const codes: (number | null)[] = [];
    const runs = Array.from({ length: 6 }, async () => {
      for (let i = 0; i < 6; i++) {
        const place = folder();
        const every = [`unix:${place}`];
        const { code, stderr } = await runSandboxed(program('handed_over'), [place], {
          policy: {
            files: { read: [...system, place], write: [place] },
            network: { connect: every, bind: every },
          },
          hooks: (child) => child.on('violation', () => {}),
        });
        expect(stderr).toBe('');
        codes.push(code);
      }
    });
    await Promise.all(runs);
    expect(codes).toEqual(codes.map(() => 0));
  },
);
