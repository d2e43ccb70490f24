// The working directory of calls whose decision waits: each has a slot of the sealed page from its beginning on.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allow, deny } from 'holdfast';
import { expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { policyFor, python } from '../lifecycle/tree.ts';

/** Resolves when it was asked for `count` times, to all at once. */
function gate(count: number) {
  let asked = 0;
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return () => {
    asked += 1;
    if (asked === count) open();
    return opened;
  };
}

// More processes than calls can have a slot beforehand; and what sends to an address still finds one.
test('a hundred processes change it while a hook thinks about all of them', { timeout: patient(60_000) }, async () => {
  const folder = temporaryFolder('directory');
  for (const name of ['a', 'b']) mkdirSync(join(folder, name));
  const script = `
import os, socket
os.chdir('${folder}')
ends = []
for i in range(100):
    ready, told = os.pipe()
    if os.fork() == 0:
        try:
            os.chdir('ab'[i % 2])
            said = os.getcwd()
        except OSError as error: said = os.strerror(error.errno)
        os.write(told, said.encode())
        os._exit(0)
    os.close(told)
    ends.append(ready)
one = socket.socket(type=socket.SOCK_DGRAM)
one.sendto(b'', ('127.0.0.1', 1))
said = [os.read(ready, 4096).decode() for ready in ends]
for i in range(100): os.wait()
print(len([1 for i in range(0, 100, 2) if said[i] == '${folder}/a']), set(said[1::2]))
`;
  const wait = gate(100);
  const { stdout, stderr, code } = await runSandboxed(python, ['-S', '-c', script], {
    policy: { ...policyFor(folder), network: { connect: ['127.0.0.1'] } },
    hooks: (child) =>
      child.onChdir({ path: `${folder}/*` }, async (call) => {
        await wait();
        return call.path.endsWith('a') ? allow() : deny('ENOTDIR');
      }),
  });
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  expect(stdout).toBe("50 {'Not a directory'}\n");
});

test('an exec by another thread ends a change that is being thought about', { timeout: patient(60_000) }, async () => {
  const folder = temporaryFolder('directory');
  mkdirSync(join(folder, 'a'));
  const script = `
import os, threading, time
os.chdir('${folder}')
def leader(): os.chdir('a')
def other():
    while not os.path.exists('go'): time.sleep(0.005)
    os.execv('/bin/sh', ['sh', '-c', 'pwd; cd a && pwd && cd .. && pwd'])
threading.Thread(target=other).start()
leader()
`;
  let asked = 0;
  const { stdout, stderr, code } = await runSandboxed(python, ['-S', '-c', script], {
    policy: policyFor(folder),
    hooks: (child) =>
      child.onChdir({ path: `${folder}/a` }, () => {
        asked += 1;
        if (asked > 1) return allow();
        writeFileSync(join(folder, 'go'), '');
        return new Promise(() => {});
      }),
  });
  expect({ stderr, code, asked }).toEqual({ stderr: '', code: 0, asked: 2 });
  expect(stdout).toBe(`${folder}\n${folder}/a\n${folder}\n`);
});

test('what is no folder, or is closed to the caller, is answered as without a sandbox', async () => {
  const folder = temporaryFolder('directory');
  const script = `
import errno, os
os.chdir('${folder}')
open('file', 'w').close(); os.mkdir('closed', 0); os.symlink('file', 'link'); os.symlink('loop', 'loop'); os.mkdir('open')
def step(path):
    try: os.chdir(path); print(path[-8:], os.getcwd()[-4:], flush=True)
    except OSError as error: print(path[-8:], errno.errorcode[error.errno], flush=True)
if os.geteuid() == 0: os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
for path in ('file', 'link', 'file/', 'loop', 'missing', '', 'closed', 'open/', '..//open/../open', 'x' * 300, './' * 2100): step(path)
`;
  const { stdout, stderr, code } = await runSandboxed(python, ['-S', '-c', script], { policy: policyFor(folder) });
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  expect(stdout.trimEnd().split('\n')).toEqual([
    'file ENOTDIR',
    'link ENOTDIR',
    'file/ ENOTDIR',
    'loop ELOOP',
    'missing ENOENT',
    ' ENOENT',
    'closed EACCES',
    'open/ open',
    '/../open open',
    'xxxxxxxx ENAMETOOLONG',
    '././././ ENAMETOOLONG',
  ]);
});
