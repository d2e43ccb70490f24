// Where the kinds of mounts decide what a path leads to: as bare, and no way round. Each in a mount namespace of its own.
import { expect, test } from 'vitest';
import { isRoot, library, mounting } from '../helpers/places.ts';
import { runBare } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

/** What a shell says, bare and held, after `mounts`; the held one may read everything. */
async function said(mounts: string, command: string): Promise<{ bare: string; held: string }> {
  const [first = '', ...place] = mounting(mounts);
  const script = `import { spawnSandboxed } from ${JSON.stringify(library)};
const child = spawnSandboxed('sh', ['-c', ${JSON.stringify(command)}], { stdio: ['ignore', 'inherit', 'inherit'], policy: { files: { read: ['/'] } } });
child.on('violation', ({ path, reason }) => console.log(path, reason));`;
  const bare = await runBare(first, [...place, 'sh', '-c', command]);
  const held = await runBare(first, [...place, process.execPath, '--input-type=module', '-e', script]);
  return { bare: bare.stdout, held: held.stdout };
}

test.runIf(isRoot)('a mount that follows no symbolic links (only root can make one)', async () => {
  const { bare, held } = await said(
    'mount -t tmpfs -o nosymfollow none /mnt; echo text > /mnt/file; ln -s file /mnt/link; ln -s . /mnt/folder',
    'cat /mnt/file; for name in link folder/file; do cat /mnt/$name 2>&1; done; readlink /mnt/link',
  );
  expect(bare.match(/Too many levels/g)).toHaveLength(2);
  expect(held).toBe(bare);
});

test.runIf(isRoot)(
  'a piece of procfs in another place, which is whose nobody can tell (only root can make one)',
  async () => {
    const { bare, held } = await said(
      'mount -t tmpfs none /mnt; cd /mnt; mkdir self sys; mount --bind /proc/$$ self; mount --bind /proc/sys sys; cd /',
      'cd /mnt; cat sys/kernel/ostype; cat self/environ > /dev/null && echo environment; echo end',
    );
    expect(bare).toBe('Linux\nenvironment\nend\n');
    expect(held).toContain('end\n');
    expect(held).not.toMatch(/^(Linux|environment)$/m);
  },
);

test.runIf(isRoot).each([
  ['held', { metadata: ['/mnt'] }],
  ['looks left to the kernel', { metadata: ['/'] }],
])('what is mounted nowhere any more has no name: %s (only root can mount)', async (_, looks) => {
  const place = temporaryFolder('place');
  // What the kernel shows of it then begins behind the place where it was mounted.
  const [first = '', ...inPlace] = mounting(
    `mount -t tmpfs none /mnt; mkdir -p /mnt/usr/share /mnt${place}; echo secret > /mnt/usr/file; touch /mnt${place}/file`,
  );
  const names = 'usr/file ./usr/file usr/share/../file /proc/self/cwd/usr/file';
  const command = `cd /mnt; cat usr/file; echo mounted; read go
    for name in ${names}; do cat $name; done; (cd usr && cat file); rm .${place}/file; echo > .${place}/made; echo end; read go`;
  const script = `import { spawnSandboxed } from ${JSON.stringify(library)};
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
const files = ${JSON.stringify({ read: ['/usr', '/lib', '/lib64', '/bin'], write: [place], ...looks })};
const child = spawnSandboxed('sh', ['-c', ${JSON.stringify(command)}], { stdio: ['pipe', 'pipe', 'pipe'], policy: { files }, cwd: '/' });
const told = new Set();
child.on('violation', ({ reason }) => told.add(reason));
child.stdout.on('data', (text) => {
  process.stdout.write(text);
  if (/mounted/.test(text)) {
    execFileSync('umount', ['-l', '/mnt']);
    child.stdin.write('go\\n');
  } else if (/end/.test(text)) {
    const cwd = '/proc/' + child.pid + '/cwd';
    console.log(existsSync(cwd + '${place}/file'), existsSync(cwd + '${place}/made'));
    child.stdin.end();
  }
});
child.on('close', () => console.log([...told].filter((reason) => /mounted nowhere/.test(reason)).length));`;
  const { stdout } = await runBare(first, [...inPlace, process.execPath, '--input-type=module', '-e', script]);
  expect(stdout).toBe('mounted\nend\ntrue false\n1\n');
});
