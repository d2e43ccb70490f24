// processes(), lifecycle() and usage: what is told of a tree is what happens there.
import { existsSync, realpathSync } from 'node:fs';
import { type LifecycleEvent, type SandboxedProcess, spawnSandboxed, type TreeUsage } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { event, nothingLeft, policyFor, python, sleep, treeFrom, within } from './tree.ts';

const policy = policyFor();
const sh = realpathSync('/bin/sh');
const binTrue = realpathSync('/bin/true');
const start = (script: string, options: object = {}) =>
  spawnSandboxed('sh', ['-c', script], { policy, stdio: ['ignore', 'pipe', 'ignore'], ...options });
const ready = (child: SandboxedProcess) => new Promise((resolve) => child.stdout?.once('data', resolve));

async function all(child: SandboxedProcess): Promise<LifecycleEvent[]> {
  const events: LifecycleEvent[] = [];
  for await (const each of child.lifecycle()) events.push(each);
  return events;
}

describe('lifecycle()', () => {
  test('from the first exec to the last exit, with parents, programs, arguments, codes and signals', async () => {
    const child = start('/bin/true one "two  three"; (exit 5); sh -c "kill -9 \\$\\$"; exit 3');
    const pid = child.pid as number;
    const events = await within(all(child), 'the events end with the tree');
    expect(events[0]).toMatchObject({ type: 'exec', pid, parent: undefined, executable: sh, initial: true });
    expect(events[0]).toMatchObject({ argv: ['sh', '-c', expect.stringContaining('/bin/true one')] });
    expect(events.at(-1)).toMatchObject({
      type: 'exit',
      pid,
      parent: undefined,
      code: 3,
      signal: null,
      executable: sh,
    });
    const forks = events.filter(({ type }) => type === 'fork');
    expect(forks.length).toBeGreaterThanOrEqual(3);
    for (const fork of forks) expect(fork).toMatchObject({ parent: pid, executable: sh });
    const [first, second, third] = forks.map((fork) => events.filter((each) => each.pid === fork.pid));
    expect(first).toMatchObject([
      { type: 'fork' },
      { type: 'exec', parent: pid, executable: binTrue, argv: ['/bin/true', 'one', 'two  three'], initial: false },
      { type: 'exit', parent: pid, executable: binTrue, code: 0, signal: null },
    ]);
    expect(second).toMatchObject([{ type: 'fork' }, { type: 'exit', code: 5, signal: null, executable: sh }]);
    expect(third?.at(-1)).toMatchObject({ type: 'exit', code: null, signal: 'SIGKILL' });
  });

  test('each process is made once, and ends once, in an order that can be; an orphan has no parent any more', async () => {
    const child = spawnSandboxed(program('life_tree'), ['exec-storm'], { policy });
    const reading = all(child);
    await treeFrom(child.stdout);
    await sleep(150);
    await child.killTree();
    const events = await within(reading, 'the events end with the tree');
    const living = new Set<number>([child.pid as number]);
    let made = 1;
    for (const each of events) {
      if (each.type === 'fork') {
        expect(living.has(each.pid)).toBe(false);
        living.add(each.pid);
        made++;
      } else {
        expect(living.has(each.pid)).toBe(true);
      }
      if (each.type === 'exit') living.delete(each.pid);
      if (each.parent !== undefined) expect(each.parent).not.toBe(each.pid);
    }
    expect([...living]).toEqual([]);
    expect(child.usage?.processes).toBe(made);
    await nothingLeft();
  });

  test('as events; nobody is told who does not listen, and who listens later hears what is later', async () => {
    const child = start('read go; /bin/true; (exit 4)', { stdio: ['pipe', 'ignore', 'ignore'] });
    await event(child, 'spawn');
    const heard: string[] = [];
    for (const name of ['fork', 'exec', 'processExit'] as const) {
      child.on(name, (each) => {
        heard.push(`${name} ${each.type}`);
      });
    }
    // What is asked is answered in order.
    await child.getUsage();
    await child.processes();
    (child as SandboxedProcess).stdin?.write('go\n');
    expect(await event(child, 'close')).toEqual([4, null]);
    expect(heard).toEqual([
      'fork fork',
      'exec exec',
      'processExit exit',
      'fork fork',
      'processExit exit',
      'processExit exit',
    ]);
  });

  test('who reads slowly loses nothing: the tree waits; who stops reading lets it go on', async () => {
    const many = 'i=0; while [ $i -lt 1500 ]; do (:); i=$((i+1)); done';
    const child = start(many);
    const iterator = child.lifecycle();
    // Nobody takes any, so it comes to a standstill.
    let processes = 0;
    for (let same = 0; same < 4; await sleep(50)) {
      const now = (await child.getUsage()).processes;
      same = now === processes ? same + 1 : 0;
      processes = now;
    }
    expect(processes).toBeGreaterThan(400);
    expect(processes).toBeLessThan(1200);
    const events: LifecycleEvent[] = [];
    for await (const each of iterator) events.push(each);
    expect(events.filter(({ type }) => type === 'fork')).toHaveLength(1500);
    expect(events.filter(({ type }) => type === 'exit')).toHaveLength(1501);

    const left = start(many);
    const closed = event(left, 'close', 60_000);
    for await (const each of left.lifecycle()) if (each.type === 'exit') break;
    expect(await closed).toEqual([0, null]);
  });

  test('of what could not be started, and of what has ended, there is nothing', async () => {
    const none = spawnSandboxed('/nonexistent/program');
    none.on('error', () => {});
    expect(await all(none)).toEqual([]);
    const child = start('exit 0');
    await event(child, 'close');
    expect(await all(child)).toEqual([]);
  });
});

describe('processes()', () => {
  test('who is there: pid, parent, program, arguments, state, threads, start, usage', async () => {
    const before = Date.now() - 20;
    const child = spawnSandboxed(program('life_tree'), ['pause'], { policy });
    const tree = await treeFrom(child.stdout);
    let processes = await child.processes();
    const of = (role: string) => processes.find(({ pid }) => pid === tree.get(role)?.pid);
    // They say that they are there before they stop themselves, and before their parents have ended.
    const isSettled = () =>
      of('stopped')?.state === 'stopped' && [of('orphan'), of('daemon')].every((one) => one?.parent === undefined);
    while (!isSettled()) processes = await child.processes();
    expect(new Set(processes.map(({ pid }) => pid))).toEqual(new Set(processes.map(({ pid }) => pid)));
    for (const role of tree.keys()) expect(of(role), role).toBeDefined();
    expect(of('command')).toMatchObject({ parent: undefined, executable: program('life_tree'), threads: 1 });
    expect(of('command')?.argv).toEqual([program('life_tree'), 'pause']);
    expect(of('child')?.parent).toBe(child.pid);
    // Their parents have ended: whose they are now lies outside of the tree.
    expect(of('orphan')?.parent).toBe(undefined);
    expect(of('daemon')?.parent).toBe(undefined);
    expect(of('stopped')?.state).toBe('stopped');
    for (const { startTime, usage } of processes) {
      expect(startTime.getTime()).toBeGreaterThanOrEqual(before);
      expect(startTime.getTime()).toBeLessThanOrEqual(Date.now() + 20);
      expect(usage.peakMemory).toBeGreaterThan(0);
    }
    await child.freeze();
    for (const { state } of await child.processes()) expect(state).toBe('frozen');
    await child.killTree();
    await expect(child.processes()).rejects.toMatchObject({ code: 'ERR_HOLDFAST_NOT_RUNNING' });
  });

  test('while processes come and go, and with many arguments', async () => {
    const child = spawnSandboxed(program('life_tree'), ['exec-storm', ...Array<string>(3000).fill('x')], { policy });
    await treeFrom(child.stdout);
    const answers = await within(Promise.all(Array.from({ length: 12 }, () => child.processes())), 'all are answered');
    for (const processes of answers) {
      const command = processes.find(({ pid }) => pid === child.pid);
      expect(command?.argv.slice(0, 3)).toEqual([program('life_tree'), 'exec-storm', 'x']);
      expect(command?.argvCut).toBe(true);
    }
    await child.killTree();
    await nothingLeft();
  });
});

describe('usage', () => {
  test.runIf(existsSync(python) || python === 'python3')('the dead and the living, times, memory, bytes', async () => {
    const script = `
import os, sys
if os.fork() == 0:
  block = bytearray(64 << 20)
  n = 0
  while os.times().user < 0.3: n += 1
  out = os.open('/dev/null', os.O_WRONLY)
  for _ in range(16): os.write(out, b'x' * 65536)
  os._exit(0)
os.wait()
print('waited', flush=True)
sys.stdin.read()
`;
    const child = spawnSandboxed(python, ['-c', script], { policy, stdio: ['pipe', 'pipe', 'inherit'] });
    await ready(child);
    const between = await child.getUsage();
    expect(between.userTime).toBeGreaterThan(250);
    expect(between.peakMemory).toBeGreaterThan(64 << 20);
    expect(between.bytesWritten).toBeGreaterThanOrEqual(1 << 20);
    expect(between.processes).toBe(2);
    expect(between.callsHeld).toBeGreaterThan(0);
    expect(child.usage).toBe(undefined);
    child.stdin?.end();
    await event(child, 'close');
    const after = child.usage;
    // How it is divided between the two, the kernel samples.
    const times = ({ userTime, systemTime }: TreeUsage) => userTime + systemTime;
    expect(times(after as TreeUsage)).toBeGreaterThanOrEqual(times(between));
    for (const field of ['peakMemory', 'bytesWritten', 'bytesRead', 'wallTime', 'callsHeld'] as const) {
      expect(after?.[field], field).toBeGreaterThanOrEqual(between[field]);
    }
    expect(await child.getUsage()).toEqual(after);
  });

  test('what a child has written is counted once, and that of each thread', async () => {
    const text = `
import os, threading
def write(size):
    with open('/dev/null', 'wb', buffering=0) as file: file.write(b'x' * size)
def nested(depth):
    write(1 << 20)
    if depth == 0: return
    pid = os.fork()
    if pid == 0:
        nested(depth - 1)
        os._exit(0)
    os.waitpid(pid, 0)
nested(3)
threads = [threading.Thread(target=write, args=(1 << 20,)) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
`;
    const child = spawnSandboxed('/usr/bin/python3', ['-c', text], { policy: { files: { read: ['/usr'] } } });
    await event(child, 'close');
    const written = child.usage?.bytesWritten ?? 0;
    expect(written).toBeGreaterThanOrEqual(8 << 20);
    expect(written).toBeLessThan(9 << 20);
  });

  test('refused calls, and what each program has used', async () => {
    const child = start('/bin/true; /bin/true; (: > /refused-by-holdfast)', { usageByExecutable: true });
    const violations: unknown[] = [];
    child.on('violation', (violation) => violations.push(violation));
    await event(child, 'close');
    expect(child.usage?.callsRefused).toBe(violations.length);
    expect(violations.length).toBeGreaterThan(0);
    expect(child.usage?.byExecutable?.[binTrue]).toMatchObject({ processes: 2 });
    expect(child.usage?.byExecutable?.[sh]?.processes).toBeGreaterThanOrEqual(1);
    const sums = Object.values(child.usage?.byExecutable ?? {});
    expect(sums.reduce((sum, { processes }) => sum + processes, 0)).toBe(child.usage?.processes);
  });
});
