// Small resource limits: what Node cannot have is an error of the spawn, and what the command has is not the supervisor's.

import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { holdsByStops } from '../helpers/engine.ts';
import { patient } from '../helpers/patience.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { startHost } from './host.ts';
import { event, python, textOf } from './tree.ts';

/** Lines of a host that lowers a limit of its own, with prlimit(1), and then starts a command. */
async function under(limit: string, script: string): Promise<string[]> {
  const host = startHost(`
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
const opened = () => fs.readdirSync('/proc/self/fd').length;
await once(spawnSandboxed('true', [], { policy }), 'close');
execFileSync('prlimit', ['--pid', String(process.pid), ${limit}]);
${script}`);
  const output = textOf(host.stdout);
  expect(await event(host, 'exit')).toEqual([0, null]);
  return (await output).trim().split('\n');
}

test('without a descriptor left, each spawn is an error event and a close, and leaks nothing', async () => {
  const lines = await under(
    "'--nofile=' + (opened() + 3) + ':'",
    `
await new Promise((resolve) => setTimeout(resolve, 50));
const before = opened();
for (let i = 0; i < 3; i++) {
  const child = spawnSandboxed('true', [], { policy });
  const error = new Promise((resolve) => child.on('error', (error) => resolve(error.code)));
  const closed = new Promise((resolve) => child.on('close', (...end) => resolve(end)));
  say(await error, await closed);
}
say(opened() - before);`,
  );
  expect(lines).toEqual(['EMFILE -24,', 'EMFILE -24,', 'EMFILE -24,', '0']);
});

test.each([
  ['descriptors', "'--nofile=40:'", 'ulimit -n', '40'],
  ['stack', "'--stack=32768:'", 'ulimit -s', '32'],
])('the command has the limit of its %s, the supervisor as much as it may', async (_, limit, ask, expected) => {
  const lines = await under(
    limit,
    `
const child = spawnSandboxed('bash', ['-c', '${ask}; cat /etc/passwd > /dev/null'], { policy, stdio: ['ignore', 'inherit', 'inherit'] });
say(await once(child, 'close'));`,
  );
  expect(lines).toEqual([expected, '0,']);
});

test('with few descriptors, whatever lacks one says so', async () => {
  const folder = temporaryFolder('few');
  const places = Array.from({ length: 12 }, (_, i) => join(folder, `${i}`));
  for (const place of places) mkdirSync(place);
  const lines = await under(
    "'--nofile=' + (opened() + 60)", // the loop lowers it
    `
const places = ${JSON.stringify(places)};
const many = { files: { ...policy.files, read: [...(policy.files?.read ?? []), ...places], write: places, metadata: ['/'] } };
const codes = new Set();
for (let most = opened() + 60; most > opened(); most -= 4) {
  // Each has fewer descriptors than the one before, and so the next thing to be opened at the start is what fails.
  try {
    execFileSync('prlimit', ['--pid', String(process.pid), '--nofile=' + most + ':' + most]);
  } catch {
    break; // Node has too few for that
  }
  const child = spawnSandboxed('true', [], { policy: many, stdio: 'ignore' });
  let code = '';
  child.on('error', (error) => (code = error.code + (/limit of descriptors/.test(error.message) ? ' of descriptors' : '')));
  const [status] = await new Promise((resolve) => child.on('close', (...end) => resolve(end)));
  codes.add(code || status);
}
say([...codes].sort().join(', '));`,
  );
  expect(lines).toEqual(['0, ERR_HOLDFAST_LIMIT of descriptors']);
});

test('with few descriptors, whatever may be executed is, or the start says what is missing', async () => {
  const folder = temporaryFolder('few');
  // The shorter names are looked at first, and lie in what is executable anyway: their descriptors are given back.
  const last = join(folder, 'a-longer-name-than-the-others-have');
  const names = Array.from({ length: 40 }, (_, i) => join(folder, 'all', `${i}`));
  mkdirSync(join(folder, 'all'));
  for (const name of [...names, last]) {
    copyFileSync('/bin/true', name);
    chmodSync(name, 0o755);
  }
  const lines = await under(
    "'--nofile=' + (opened() + 80)", // the loop lowers it
    `
const exec = ${JSON.stringify([...names, join(folder, 'all'), last])};
const run = async () => {
  const child = spawnSandboxed('sh', ['-c', '${last}'], { policy: { files: { read: exec }, exec }, stdio: 'ignore' });
  let code = '';
  child.on('error', (error) => (code = error.code));
  const [status] = await new Promise((resolve) => child.on('close', (...end) => resolve(end)));
  return code || status;
};
const ends = new Set();
const least = opened(); // once: a hard limit only sinks, and a supervisor that is about to end still counts
for (const more of [70, 40, 38, 36, 34, 32, 30, 28, 26, 24]) {
  execFileSync('prlimit', ['--pid', String(process.pid), '--nofile=' + (least + more) + ':' + (least + more)]);
  ends.add(await run());
}
say([...ends].sort().join(', '));`,
  );
  expect(lines).toEqual(['0, ERR_HOLDFAST_LIMIT']);
});

/** A program that runs another one with no more than `room` processes and threads beyond those that its user has. */
function withRoomFor(room: number, uid: number): string[] {
  const threads = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/status`, 'utf8');
      } catch {
        return '';
      }
    })
    .filter((status) => new RegExp(`^Uid:\\t${uid}\\s`, 'm').test(status))
    .reduce((sum, status) => sum + Number(/^Threads:\t(\d+)/m.exec(status)?.[1] ?? 0), 0);
  const limit = ['prlimit', `--nproc=${threads + room}`];
  // The limit does not hold for root (setrlimit(2), RLIMIT_NPROC).
  return process.getuid?.() === 0
    ? ['setpriv', '--reuid', String(uid), '--regid', String(uid), '--clear-groups', ...limit]
    : limit;
}

// Each child asks for one end of a FIFO that nobody opens, or to connect where nobody accepts, so each would need a thread of
// the supervisor that waits for it.
const fills = `
import errno, os, select, socket, subprocess, sys
def held():
    answers = []
    for i in range(20):
        os.stat('/etc'); open('/etc/passwd').close(); os.mkdir(f'd{i}'); os.rename(f'd{i}', f'e{i}'); os.rmdir(f'e{i}')
        os.kill(os.getpid(), 0); open('/dev/null', 'w').close(); open('file', 'w').close()
        with socket.socket(socket.AF_UNIX) as s:
            try: s.connect('nobody')
            except FileNotFoundError: answers.append(i)
    return len(answers)
begin, go = os.pipe(); ends, ended = os.pipe()
server = socket.socket(socket.AF_UNIX); server.bind('server'); server.listen(0); server.setblocking(False)
first = socket.socket(socket.AF_UNIX); first.connect('server')
def wait(i):
    if sys.argv[1] == 'fifo': return os.open(f'fifo{i}', os.O_RDONLY)
    socket.socket(socket.AF_UNIX).connect('server')
def release(i):
    if sys.argv[1] == 'fifo': os.close(os.open(f'fifo{i}', os.O_WRONLY | os.O_NONBLOCK))
    else: server.accept()
children = []
while len(children) < 1000:
    os.mkfifo(f'fifo{len(children)}')
    try: child = os.fork()
    except BlockingIOError: break
    if child == 0:
        os.close(go); os.read(begin, 1)
        try: wait(len(children)); os.write(ended, b'o')
        except OSError as error: os.write(ended, b'a' if error.errno == errno.EAGAIN else b'?')
        os._exit(0)
    children.append(child)
print('full', len(children) > 3, held())
os.close(go)
# One at least finds no thread left; the others wait, or are refused too. None where each opens its own by itself.
refused = os.read(ends, 1) if sys.argv[2] == 'served' else b''
print('refused', refused, held())
answers, released = [refused][:len(refused)], set()
while len(answers) < len(children):
    # A reader that has come can be met; one that has been refused or is to come cannot: ENXIO.
    for i in range(len(children)):
        if i in released: continue
        try: release(i); released.add(i)
        except OSError as error:
            if error.errno not in (errno.ENXIO, errno.EAGAIN): print(error)
    if select.select([ends], [], [], 0.01)[0]: answers.append(os.read(ends, 1))
for child in children: os.waitpid(child, 0)
print(sorted(set(answers)), held(), len(answers) == len(children))
print(subprocess.run(['/bin/echo', 'again'], capture_output=True, text=True).stdout.strip())
`;

// A connection by TCP waits in a thread of the supervisor's where one can be had, and else in its caller: nobody is refused.
const connects = `
import os, select, socket, subprocess, sys
${/^def held[\s\S]*?return len\(answers\)\n/m.exec(fills)?.[0]}
server = socket.socket(); server.bind(('127.0.0.1', 0)); server.listen(0)
fillers = [socket.socket() for _ in range(4)]
for filler in fillers: filler.setblocking(False); filler.connect_ex(server.getsockname())
ends, ended = os.pipe()
children = []
while len(children) < 1000:
    try: child = os.fork()
    except BlockingIOError: break
    if child == 0:
        os.write(ended, b'c')
        try: socket.socket().connect(server.getsockname())
        except OSError as error: os.write(ended, b'?')
        os._exit(0)
    children.append(child)
begun = b''
while begun.count(b'c') < len(children): begun += os.read(ends, 999)
print('full', len(children) > 3, begun.strip(b'c'), held())
print([held() for _ in range(5)], select.select([ends], [], [], 0)[0])
for child in children: os.kill(child, 9)
for child in children: os.waitpid(child, 0)
print(subprocess.run(['/bin/echo', 'again'], capture_output=True, text=True).stdout.strip())
`;

async function output(script: string, kind = '', how = 'served'): Promise<string[]> {
  const ordinary = process.getuid?.() ?? 0;
  const uid = ordinary === 0 ? 61_000 + (process.pid % 1000) : ordinary;
  const folder = temporaryFolder('full');
  const work = join(folder, 'work');
  mkdirSync(work, { mode: 0o777 });
  chmodSync(work, 0o777);
  const host = startHost(
    `policy.files.write.push(args[0]);
const network = { connect: ['127.0.0.1'], bind: ['127.0.0.1'] };
const child = spawnSandboxed(args[2], ['-u', '-c', args[1], args[3], args[4]], { policy: { ...policy, network }, cwd: args[0], stdio: ['ignore', 'inherit', 'inherit'] });
child.on('error', (error) => say(error.code));
child.on('close', (...end) => say(...end));`,
    [work, script, python, kind, how],
    {},
    withRoomFor(60, uid),
  );
  const said = textOf(host.stdout);
  expect(await event(host, 'exit', 80_000)).toEqual([0, null]);
  return (await said).trim().split('\n');
}

test.each(['fifo', 'socket'])(
  'a tree that has used up the processes of its user, each waiting at a %s: each held call answers, and none waits for ever',
  async (kind) => {
    const served = kind === 'socket' || !holdsByStops;
    expect(await output(fills, kind, served ? 'served' : 'alone')).toEqual([
      'full True 20',
      `refused ${served ? "b'a'" : "b''"} 20`,
      `[${served ? "b'a', " : ''}b'o'] 20 True`,
      'again',
      '0',
    ]);
  },
  patient(90_000),
);

test(
  'a tree that has used up the processes of its user, each waiting for a TCP peer: each held call answers',
  async () => {
    expect(await output(connects)).toEqual(["full True b'' 20", '[20, 20, 20, 20, 20] []', 'again', '0']);
  },
  patient(90_000),
);
