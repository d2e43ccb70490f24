// What a close() ends has ended when it returns, as if the supervisor had never had the file open.
import { expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const nothingLate = 'exec: 0\nflock: 0\nlease: 0\ninotify: 0\nunlink: 0\npty: 0\nfifo: 0\n';

test(
  'scripts, locks, leases, events, ptys and FIFOs, two programs at once',
  async () => {
    expect(await runBare(program('close_is_the_end'), ['20'], { cwd: temporaryFolder('bare') })).toMatchObject({
      code: 0,
      stdout: nothingLate,
    });
    const folder = temporaryFolder('held');
    const one = `mkdir $1 && cd $1 && ${program('close_is_the_end')} 150 > ../$1.txt 2>&1`;
    const held = await runSandboxed('sh', ['-c', `f() { ${one}; }; f a & f b & wait; cat a.txt b.txt`], {
      cwd: folder,
      policy: { files: { read: ['/'], write: [folder, '/dev/ptmx', '/dev/pts', '/dev/null'] } },
    });
    expect(held).toMatchObject({ code: 0, stdout: nothingLate.repeat(2), stderr: '' });
  },
  patient(60_000),
);
