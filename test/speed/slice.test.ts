// A worker that hands over descriptors asks for longer turns than its callers have, so that they go first. No time is
// measured.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSandboxed } from 'holdfast';
import { expect, test } from 'vitest';
import { holdsByStops } from '../helpers/engine.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { policyFor, python } from '../lifecycle/tree.ts';

// sched_getattr(2): the turn's length is sched_runtime, 24 bytes in; 0 before Linux 6.12.
const script = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None)
def length(tid):
    attributes = ctypes.create_string_buffer(48)
    libc.syscall(${process.arch === 'x64' ? 315 : 275}, tid, attributes, 48, 0)
    return struct.unpack_from('Q', attributes, 24)[0]
print(length(0), *sorted({length(int(tid)) for tid in os.listdir('/proc/%s/task' % sys.argv[1])}))
`;

async function lengthsAfter(text: string, denied: string[]): Promise<number[]> {
  const folder = temporaryFolder('slice');
  writeFileSync(join(folder, 'file'), 'text');
  const policy = policyFor(folder);
  const child = spawnSandboxed('sh', ['-c', `${text}; echo done; read end`], {
    cwd: folder,
    policy: { ...policy, files: { ...policy.files, deny: denied.map((name) => join(folder, name)) } },
  });
  child.stderr.resume();
  child.on('violation', () => {});
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'latin1');
  const supervisor = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] as string;
  const { stdout } = spawnSync(python, ['-S', '-c', script, supervisor], { encoding: 'utf8' });
  const closed = new Promise((resolve) => child.on('close', resolve));
  child.stdin.end();
  await closed;
  return stdout.trim().split(' ').map(Number);
}

test.skipIf(holdsByStops /* nothing is handed over by a listener */)(
  'which is asked for after some hand-overs, and not before',
  async () => {
    const [own = 0, ...without] = await lengthsAfter('cat file', ['other']);
    expect(without).toEqual([own]);
    // What is opened in a folder that has something denied in it is performed.
    const [, ...after] = await lengthsAfter(
      'for i in 1 2 3 4 5 6 7 8 9; do cat file file file file file file file file; done',
      ['other'],
    );
    expect(after).toEqual(own === 0 ? [0] : [own, 3 * own]);
  },
);
