// Programs that confine themselves by Landlock: what they are refused bare they are refused in a sandbox, whoever makes
// the call for them; and nothing else is.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allow, type Policy, redirect } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

/** landlock_create_ruleset(2), LANDLOCK_CREATE_RULESET_VERSION; 0: the kernel has none. */
const abi = Number(execFileSync(program('landlocked'), ['abi']));

function scene() {
  const folder = temporaryFolder('landlock');
  const places = ['inside', 'outside'].map((name) => join(folder, name));
  for (const place of places) {
    mkdirSync(place);
    writeFileSync(join(place, 'there'), 'there');
  }
  return { folder, places };
}

const policies: Record<string, (folder: string) => Policy> = {
  'all by the supervisor': (folder) => ({
    files: { read: ['/'], write: [folder], deny: [join(folder, 'nothing')] },
    network: { connect: ['*', `unix:${folder}`], bind: ['*', `unix:${folder}`] },
  }),
  'what the kernel can decide by the kernel': (folder) => ({
    files: { read: ['/'], write: [folder] },
    network: { connect: ['*', 'unix:/'], bind: ['*', 'unix:/'] },
  }),
};

const kinds = [
  ['f', 1],
  ['fr', 3],
  ['p', 4],
  ['fp', 4],
  ['s', 6],
  ['a', 6],
  ['frsap', 6],
] as const;

describe.each(Object.entries(policies))('%s', (_, policyOf) => {
  for (const [kind, least] of kinds) {
    test.skipIf(abi < least /* the kernel's Landlock does not know it */)(`as bare: ${kind}`, async () => {
      const bare = scene();
      const held = scene();
      const expected = await runBare(program('landlocked'), [kind, ...bare.places], { cwd: bare.folder });
      const seen = await runSandboxed(program('landlocked'), [kind, ...held.places], {
        cwd: held.folder,
        policy: policyOf(held.folder),
        hooks: (child) => {
          if (policyOf === policies['all by the supervisor'])
            for (const hook of ['onOpen', 'onRename', 'onMkdir', 'onUnlink'] as const) child[hook](() => allow());
        },
      });
      expect(expected.stdout).toContain(`confined by ${kind}: ok`);
      expect(seen.stdout).toBe(expected.stdout);
      expect(seen.code).toBe(expected.code);
    });
  }
});

test('no newer ABI is told than can be followed, and all threads at once are not confined', async () => {
  const policy: Policy = { files: { read: ['/'] } };
  const { stdout } = await runSandboxed(program('landlocked'), ['abi'], { policy });
  expect(Number(stdout)).toBe(Math.min(abi, 7));
  const all = `import ctypes, errno; libc = ctypes.CDLL(None, use_errno=True)
print(libc.syscall(446, 0, 8), errno.errorcode[ctypes.get_errno()])`;
  expect((await runSandboxed('/usr/bin/python3', ['-c', all], { policy })).stdout).toBe('-1 EINVAL\n');
});

test.skipIf(abi < 1 /* the kernel has no Landlock, or it is switched off */)(
  'domains end with their processes; too many at once are refused; who waits in one keeps nobody from working',
  async () => {
    const folder = temporaryFolder('landlock');
    const policy: Policy = { files: { read: ['/'], write: [folder], deny: [join(folder, 'nothing')] } };
    const { stdout, code } = await runSandboxed(program('landlocked_many'), ['300'], { cwd: folder, policy });
    expect(stdout.split('\n')).toEqual([
      'could: 256, ENOMEM: 44, else: 0',
      'could: 200, ENOMEM: 0, else: 0',
      'all have made their folder',
      'interrupted: EINTR',
      '',
    ]);
    expect(code).toBe(0);
  },
  patient(60_000),
);

test.skipIf(abi < 6 /* the kernel's Landlock has no scopes */)(
  'a hook that sends a signal elsewhere sends it no further than the domain reaches',
  async () => {
    const { folder, places } = scene();
    const { stdout } = await runSandboxed(program('landlocked'), ['s', ...places], {
      cwd: folder,
      policy: { files: { read: ['/'], write: [folder] } },
      hooks: (child) =>
        void child.onSignal(({ signal }) => (signal === 'SIGKILL' ? allow() : redirect({ signal: 'SIGCONT' }))),
    });
    expect(stdout).toContain('signal a child of before: EPERM');
    expect(stdout).toContain('signal a child of after: ok');
  },
);
