// The page that bounced calls take their arguments from: the tree can read it, and change nothing about any part of it.

import { expect, test } from 'vitest';
import { holdsByStops } from '../helpers/engine.ts';
import { holdsToTheEnd } from '../helpers/kernel.ts';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { policyFor, python } from '../lifecycle/tree.ts';

// A bounced call maps it. Each attack is made on its first and last page and on a range that only reaches into it, and on
// the last page of the memory behind it that is kept free; then on the page after that, which is the program's own.
const script = `
import ctypes, errno, os, re
libc = ctypes.CDLL(None, use_errno=True)
os.chdir('.')
at, end = [(int(a, 16), int(b, 16)) for a, b in re.findall(r'^(\\w+)-(\\w+) r--s .*holdfast-arguments', open('/proc/self/maps').read(), re.M)][0]
size, own_page = 4096, 0x100000
READ, WRITE, PRIVATE, SHARED, FIXED, ANONYMOUS, NOREPLACE = 1, 2, 2, 1, 0x10, 0x20, 0x100000
for name in ('mmap', 'mremap', 'shmat'): getattr(libc, name).restype = ctypes.c_long
def long(*numbers): return [ctypes.c_long(number) for number in numbers]
attacks = {
  'munmap': lambda place, size: libc.munmap(*long(place, size)),
  'mprotect': lambda place, size: libc.mprotect(*long(place, size, READ | WRITE)),
  'pkey_mprotect': lambda place, size: libc.syscall(*long(${process.arch === 'x64' ? 329 : 288}, place, size, READ | WRITE, -1)),
  'madvise': lambda place, size: libc.madvise(*long(place, size, 4)),
  'mremap': lambda place, size: libc.mremap(*long(place, size, size, 3, 0x7000000000)),
  'mmap': lambda place, size: libc.mmap(*long(place, size, READ | WRITE, PRIVATE | ANONYMOUS | FIXED, -1, 0)),
}
def step(name, place, length):
  ctypes.set_errno(0)
  result = attacks[name](place, length)
  return 'done' if result not in (-1, 0xffffffff) else errno.errorcode[ctypes.get_errno()]
before = ctypes.string_at(at, end - at)
for name in attacks:
  print(name, step(name, at, size), step(name, end - size, size), step(name, end - size, 2 * size), step(name, at - size, 2 * size), step(name, own_page - size, size))
maps = open('/proc/self/maps').read()
print('there', '%08x-%08x r--s' % (at, end) in maps)
os.chdir('/proc')
print('works', os.getcwd())
# What was approved for another call is there for whoever knows where.
ctypes.set_errno(0)
print('by itself', libc.chdir(*long(at + ctypes.string_at(at, end - at).index(b'/proc\\0'))), errno.errorcode.get(ctypes.get_errno()))
# The next page is nobody's: the program may have it.
own = libc.mmap(*long(own_page, size, READ | WRITE, PRIVATE | ANONYMOUS | FIXED | NOREPLACE, -1, 0))
print('own', own == own_page)
for name in ('mprotect', 'mmap', 'munmap'): print('own', name, step(name, own_page, size))
`;

/** What lies there is a path like any other. */
const isJudged = process.arch === 'arm64' || holdsByStops || !holdsToTheEnd();

test('cannot be unmapped, moved, covered or made writable, up to its very end', async () => {
  const folder = temporaryFolder('page');
  const { stdout, stderr, violations } = await runSandboxed(python, ['-S', '-c', script], {
    cwd: folder,
    policy: policyFor(folder),
  });
  expect(stderr).toBe('');
  expect(stdout.trimEnd().split('\n')).toEqual([
    ...['munmap', 'mprotect', 'pkey_mprotect', 'madvise', 'mremap', 'mmap'].map(
      (name) => `${name} EPERM EPERM EPERM EPERM EPERM`,
    ),
    'there True',
    'works /proc',
    // Or is judged like any other path.
    isJudged ? 'by itself 0 None' : 'by itself -1 EPERM',
    'own True',
    ...['mprotect', 'mmap', 'munmap'].map((name) => `own ${name} done`),
  ]);
  const refused = violations.filter(({ syscall }) => syscall === 'chdir');
  expect(refused).toMatchObject(
    isJudged ? [] : [{ errno: 'EPERM', reason: expect.stringMatching(/^the sealed page could not be mapped/) }],
  );
  expect(violations.filter(({ syscall }) => syscall === 'mmap').map(({ reason }) => reason)).toEqual(
    Array(5).fill('a fixed place below the end of the sealed page'),
  );
});

test.skipIf(holdsByStops /* an open before has mapped it */)(
  'is not mapped where the process has no descriptor left, which is said, and is once it has one',
  async () => {
    const script = `
import errno, os, resource, socket
one = socket.socket(type=socket.SOCK_DGRAM)
top = max(int(name) for name in os.listdir('/proc/self/fd'))
while True:
    fd = os.dup(one.fileno())
    if fd > top: os.close(fd); break
def step():
    try: print('sent', one.sendto(b'', ('127.0.0.1', 1)), flush=True)
    except OSError as error: print(errno.errorcode[error.errno], flush=True)
limits = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (top + 1, limits[1])); step()
resource.setrlimit(resource.RLIMIT_NOFILE, limits); step()
`;
    const { stdout, stderr, violations } = await runSandboxed(python, ['-S', '-c', script], {
      policy: { ...policyFor(), network: { connect: ['127.0.0.1'] } },
    });
    expect(stderr).toBe('');
    expect(stdout).toBe('EMFILE\nsent 0\n');
    expect(violations).toMatchObject([
      { syscall: 'sendto', errno: 'EMFILE', reason: expect.stringMatching(/^the sealed page/) },
    ]);
  },
);
