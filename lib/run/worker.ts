// The thread that runs commands while another one waits: runSandboxedSync().
import { readFileSync, readlinkSync } from 'node:fs';
import type { MessagePort } from 'node:worker_threads';
import type { AnyHook } from '../hooks/dispatch.ts';
import { HookRegistry } from '../hooks/hooks.ts';
import { deny, keptVerdict, type Verdict } from '../hooks/verdict.ts';
import { SandboxedProcess } from '../process/sandboxed-process.ts';
import { Run } from './run.ts';
import { type Answer, type Job, type KeptError, keepError, type Told } from './thread.ts';

/** @param signal Its number goes up with each message, for who waits for it. */
export function serve({ port, signal }: { port: MessagePort; signal: Int32Array }): void {
  const tell = (told: Told) => {
    port.postMessage(told);
    Atomics.add(signal, 0, 1);
    Atomics.notify(signal, 0);
  };
  const answers = new Map<number, (answer: Answer) => void>();
  port.on('message', (message: Job | Answer) => {
    if ('asked' in message) return answers.get(message.asked)?.(message);
    run(message, tell, answers).catch((error) => tell({ kind: 'broken', error: keepError(error) }));
  });
  process.on('uncaughtException', (error) => tell({ kind: 'broken', error: keepError(error) }));
  tell({ kind: 'ready', thread: readlinkSync('/proc/thread-self').replace(/^.*\//, '') });
}

let asked = 0;

async function run(
  job: Job,
  tell: (told: Told) => void,
  answers: Map<number, (answer: Answer) => void>,
): Promise<void> {
  let child: SandboxedProcess | undefined;
  const hooks = HookRegistry.of(job.hooks, (hook) => {
    const event = job.hooks.rules.find(({ id }) => id === hook)?.event ?? 'syscall';
    const ask = (call: object) =>
      new Promise<Verdict | undefined>((resolve) => {
        asked++;
        const number = asked;
        answers.set(number, ({ verdict, failed }) => {
          answers.delete(number);
          if (failed) void child?.killTree();
          resolve(failed ? deny() : verdict && keptVerdict(verdict));
        });
        tell({ kind: 'asked', asked: number, hook, event: event as never, call: { ...call } });
      });
    return ask as unknown as AnyHook;
  });
  let hookError: KeptError | undefined;
  child = new SandboxedProcess({ ...job.spawn, signal: undefined, hooks });
  child.on('hookError', (error) => {
    hookError ??= keepError(error);
    void child?.killTree();
  });
  tell({ kind: 'started', pid: child.pid, supervisor: supervisorOf(child.pid) });
  const run = new Run(child, job.command, job.args, {
    ...job.plan,
    verbose: job.tells ? (line) => tell({ kind: 'line', line }) : undefined,
    hooks: undefined,
    begun: performance.now(),
  });
  const { cause, ...ended } = await run.over();
  answers.clear();
  tell({ kind: 'over', ended: { ...ended, cause: cause === undefined ? undefined : keepError(cause) }, hookError });
}

/** Whose end is the tree's. */
function supervisorOf(pid: number | undefined): number | undefined {
  if (pid === undefined) return undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}
