// Stop signals and job control work as without a tracer.

import { spawn } from 'node:child_process';
import { type SandboxedProcess, spawnSandboxed } from 'holdfast';
import { expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { allGone, event, policyFor, python, sleep, stateOf, textOf, treeFrom, until } from './tree.ts';

const policy = policyFor();

type Start = (script: string) => SandboxedProcess;
const engines: [string, Start][] = [
  ['bare', (script) => spawn('bash', ['-c', script]) as never],
  ['held', (script) => spawnSandboxed('bash', ['-c', script], { policy }) as never],
];

/** A traced process may look stopped for a moment: only what lasts is a stop. */
async function untilStopped(...pids: number[]): Promise<void> {
  let polls = 0;
  await until(
    () => {
      polls = pids.every((pid) => ['T', 't'].includes(stateOf(pid))) ? polls + 1 : 0;
      return polls > 20;
    },
    () => `${pids} are stopped; they are ${pids.map(stateOf)}`,
  );
}

test.each(engines)('SIGSTOP stops the command, SIGCONT lets it go on (%s)', async (_, start) => {
  const child = start('i=0; while :; do i=$((i + 1)); [ $((i % 2000)) = 0 ] && echo $i; done');
  await event(child.stdout, 'data');
  let last = Date.now();
  child.stdout?.on('data', () => {
    last = Date.now();
  });
  child.kill('SIGSTOP');
  await untilStopped(child.pid ?? 0);
  await sleep(100);
  const quietSince = last;
  await sleep(200);
  expect(last).toBe(quietSince);
  child.kill('SIGCONT');
  await until(() => last > quietSince, 'it goes on');
  child.kill('SIGKILL');
  expect(await event(child, 'close')).toEqual([null, 'SIGKILL']);
});

test.each(engines)('a stopped command is ended by SIGKILL, and by SIGTERM once it goes on (%s)', async (_, start) => {
  const killed = start('echo ready; kill -STOP $$; echo not yet');
  await event(killed.stdout, 'data');
  await untilStopped(killed.pid ?? 0);
  killed.kill('SIGKILL');
  expect(await event(killed, 'close')).toEqual([null, 'SIGKILL']);

  const ended = start('echo ready; kill -STOP $$; echo not yet');
  await event(ended.stdout, 'data');
  await untilStopped(ended.pid ?? 0);
  const output = textOf(ended.stdout);
  ended.kill('SIGTERM');
  await sleep(100);
  expect(ended.signalCode).toBeNull();
  ended.kill('SIGCONT');
  expect(await event(ended, 'close')).toEqual([null, 'SIGTERM']);
  expect(await output).toBe('');
});

test.each(engines)('a shell sees its child stop, go on and end (%s)', async (_, start) => {
  const child = start(`
    set -m
    sleep 50 & job=$!
    kill -STOP $job; wait $job; echo "stopped $?"
    kill -CONT $job; sleep 0.1; jobs -r | wc -l
    kill -TSTP $job; wait $job; echo "stopped $?"
    kill -CONT $job; kill -TERM $job; until wait $job; [ $? = 143 ]; do sleep 0.01; done; echo ended
  `);
  const output = await textOf(child.stdout);
  expect(output).toBe('stopped 147\n1\nstopped 148\nended\n');
});

test('waitpid with WUNTRACED and WCONTINUED says the same', async () => {
  // The child leads a group of its own: the kernel drops SIGTSTP, SIGTTIN and SIGTTOU in an orphaned one (setpgid(2)), as
  // the suite's own is where a session was made for it.
  const script = `
import os, signal
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    os.kill(os.getpid(), signal.SIGSTOP); signal.pause(); os._exit(5)
def show(what, result): print(what, result[0] == pid, os.WIFSTOPPED(result[1]) and os.WSTOPSIG(result[1]), os.WIFCONTINUED(result[1]), os.WIFEXITED(result[1]), os.WIFSIGNALED(result[1]) and os.WTERMSIG(result[1]))
show('stopped', os.waitpid(pid, os.WUNTRACED))
show('nothing', os.waitpid(pid, os.WUNTRACED | os.WNOHANG))
os.kill(pid, signal.SIGCONT); show('continued', os.waitpid(pid, os.WCONTINUED))
for stop in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGSTOP):
    os.kill(pid, stop); show(stop.name, os.waitpid(pid, os.WUNTRACED))
    os.kill(pid, signal.SIGCONT); show('continued', os.waitpid(pid, os.WCONTINUED))
os.kill(pid, signal.SIGTERM); show('ended', os.waitpid(pid, 0))
`;
  const args = ['-c', script];
  const bare = await runBare(python, args);
  expect(bare).toMatchObject({ code: 0, stderr: '' });
  expect(bare.stdout).toContain('continued True False True');
  expect(await runSandboxed(python, args, { policy })).toMatchObject({ code: 0, stdout: bare.stdout, stderr: '' });
});

test('a whole tree of stopped processes goes on, or dies', async () => {
  const child = spawnSandboxed(program('life_tree'), ['pause'], { policy });
  const tree = await treeFrom(child.stdout);
  await untilStopped(tree.get('stopped')?.pid ?? 0);
  for (const { pid } of tree.values()) process.kill(pid, 'SIGSTOP');
  await untilStopped(...[...tree.values()].map(({ pid }) => pid));
  for (const { pid } of tree.values()) process.kill(pid, 'SIGCONT');
  await until(() => !['T', 't'].includes(stateOf(child.pid ?? 0)), 'the command goes on');
  for (const { pid } of tree.values()) process.kill(pid, 'SIGSTOP');
  const closed = event(child, 'close');
  child.kill('SIGKILL');
  expect(await closed).toEqual([null, 'SIGKILL']);
  await allGone(tree.values());
});

test('threads all stop and all go on', async () => {
  const script = `
import os, signal, sys, threading, time
counts = [0] * 4
def work(i):
    while True: counts[i] += 1; time.sleep(0.001)
for i in range(4): threading.Thread(target=work, args=(i,), daemon=True).start()
while True:
    line = sys.stdin.readline()
    if not line: os._exit(3)
    before = list(counts); time.sleep(0.3); print(all(b > a for a, b in zip(before, counts)), flush=True)
`;
  const child = spawnSandboxed(python, ['-c', script], { policy });
  let answers = '';
  child.stdout.on('data', (chunk: Buffer) => {
    answers += chunk;
  });
  child.stdin.write('\n');
  await until(() => answers === 'True\n', 'an answer');
  child.kill('SIGSTOP');
  await untilStopped(child.pid ?? 0);
  child.stdin.write('\n');
  await sleep(500);
  expect(answers).toBe('True\n');
  child.kill('SIGCONT');
  await until(() => answers === 'True\nTrue\n', 'another answer');
  const closed = event(child, 'close');
  child.stdin.end();
  expect(await closed).toEqual([3, null]);
});

test('an interactive shell on a terminal of its own: stop, background, foreground', {
  timeout: patient(60_000),
}, async () => {
  // script(1) makes the terminal; python's pty does it where it is not installed.
  const pty = `
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.environ['PS1'] = '> '
    os.execvp('bash', ['bash', '--norc', '--noprofile', '-i'])
def until(word):
    text = ''
    end = time.time() + 15
    while word not in text and time.time() < end:
        if select.select([fd], [], [], 0.5)[0]:
            try: text += os.read(fd, 65536).decode(errors='replace')
            except OSError: break
    print(word, word in text)
def say(text): os.write(fd, text)
until('> '); say(b'stty -echo; tty | sed s/[0-9]//g\\n'); until('/dev/pts/')
say(b'sleep 40\\n'); time.sleep(0.5); say(b'\\x1a'); until('Stopped')
say(b'bg %1; jobs -r\\n'); until('Running'); say(b'fg %1\\n'); time.sleep(0.3); say(b'\\x03'); time.sleep(0.2)
say(b'echo "status $?"\\n'); until('status 130'); say(b'cat\\n'); time.sleep(0.3); say(b'typed\\n\\x04'); until('typed')
say(b'exit 7\\n'); print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
  const terminals = policyFor();
  terminals.files = { ...terminals.files, write: ['/dev/null', '/dev/tty', '/dev/ptmx', '/dev/pts'] };
  const env = { PATH: process.env.PATH, TERM: 'dumb', LC_ALL: 'C' };
  const bare = await runBare(python, ['-c', pty], { env });
  const held = await runSandboxed(python, ['-c', pty], { policy: terminals, env });
  expect(bare.stdout).toMatch(/Stopped True[\s\S]*status 130 True[\s\S]*\n7\n$/);
  expect(held.stdout, JSON.stringify(held.violations)).toBe(bare.stdout);
});
