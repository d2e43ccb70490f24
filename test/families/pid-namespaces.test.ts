// Node, and so the tree, in a pid namespace whose numbers are not the machine's. A container without CAP_SYS_ADMIN can make none.
import { expect, test } from 'vitest';
import { runBare } from '../helpers/run.ts';

test.runIf(process.getuid?.() === 0)(
  'a group that has no number here is not taken for all processes (only root can make a pid namespace)',
  async () => {
    // Node and the tree belong to a group that was made outside: its number is 0 there.
    const steps = `import os, signal
read, write = os.pipe()
hold, release = os.pipe()
pid = os.fork()
if pid == 0:
    signal.signal(signal.SIGUSR1, lambda *_: os._exit(1))
    os.close(release); os.write(write, b'x'); os.read(hold, 1); os._exit(0)
os.read(read, 1)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
print(os.getpgrp())
try: os.kill(0, signal.SIGUSR1)
except OSError as error: print(error.errno)
os.close(release)
print(os.waitpid(pid, 0)[1])`;
    const script = `import { spawnSandboxed } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)};
spawnSandboxed('/usr/bin/python3', ['-S', '-c', ${JSON.stringify(steps)}], { stdio: ['ignore', 'inherit', 'inherit'] });`;
    const place = ['--wait', 'unshare', '--pid', '--fork', '--mount-proc', 'sh', '-c', '"$@"; exit', 'sh'];
    const host = await runBare('setsid', [...place, process.execPath, '--input-type=module', '-e', script]);
    expect(host).toMatchObject({ code: 0, stdout: '0\n3\n0\n', stderr: '' });
  },
);
