// /dev/tty, which is another terminal, or none, for each session.
import { describe, expect, test } from 'vitest';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { policyFor, python } from '../lifecycle/tree.ts';

const look = `
import errno, fcntl, os, termios
def look(flags=os.O_RDWR):
    try: return os.close(os.open('/dev/tty', flags)) or 'opened'
    except OSError as error: return errno.errorcode[error.errno]
print(look(), look(os.O_RDONLY), look(os.O_PATH), flush=True)
`;
const withTerminal = `${look}
master, slave = os.openpty()
if os.fork() == 0:
    os.setsid(); fcntl.ioctl(slave, termios.TIOCSCTTY, 0); print(look(), flush=True); os._exit(0)
os.wait()`;
const policy = (write: readonly string[]) => {
  const { files } = policyFor(temporaryFolder('terminals'));
  const kept = (files?.write ?? []).filter((path) => path !== '/dev/tty');
  return { files: { ...files, write: [...kept, ...write] } };
};

describe('/dev/tty', () => {
  test('is missing without a terminal, as bare, and nobody is told of it', async () => {
    const bare = await runBare(python, ['-c', look], { detached: true });
    expect(bare.stdout).toBe('ENXIO ENXIO opened\n');
    const granted = await runSandboxed(python, ['-c', look], { detached: true, policy: policy(['/dev/tty']) });
    expect(granted).toMatchObject({ stdout: bare.stdout, violations: [] });
    const closed = await runSandboxed(python, ['-c', look], { detached: true, policy: policy([]) });
    expect(closed).toMatchObject({ stdout: bare.stdout, violations: [] });
  });

  test('is refused aloud where there is one that no rule gives, or a rule denies it', async () => {
    const terminals = policy(['/dev/ptmx', '/dev/pts']);
    const one = await runSandboxed(python, ['-c', withTerminal], { detached: true, policy: terminals });
    expect(one).toMatchObject({ stdout: 'ENXIO ENXIO opened\nEACCES\n', stderr: '' });
    expect(one.violations).toMatchObject([{ path: '/dev/tty', access: 'write', errno: 'EACCES' }]);
    const denied = await runSandboxed(python, ['-c', look], {
      detached: true,
      policy: { files: { ...policy(['/dev/tty']).files, deny: ['/dev/tty'] } },
    });
    expect(denied.stdout).toBe('EACCES EACCES EACCES\n');
    expect(denied.violations).toHaveLength(3);
  });
});
