import { findProblems, type SupportProblem } from '../native/problems.ts';
import type { Engine } from '../process/engine.ts';
import { describeMachine, type Machine } from './machine.ts';
import { type EngineTrial, tryEngine } from './trial.ts';

export type { SupportProblem } from '../native/problems.ts';

/** What {@link checkSupport} finds. */
export interface Support {
  supported: boolean;
  /** Why not, and what to do. Empty if supported. */
  problems: SupportProblem[];
  /** Release of the running kernel; undefined where the native part cannot be loaded. */
  kernel?: string;
  /** 0 where the kernel has no Landlock: then the second wall is missing, and everything else works. */
  landlockAbi?: number;
  /** Who holds calls here, and how long the start of a first program took. Only with `start`, where one could be started. */
  engine?: Engine;
  /** What became of a start by each engine, the one that is preferred first. Only with `start`. */
  engines?: EngineTrial[];
  /** What keeps nothing from working, and could be better: in words that say what to do. Only with `start`. */
  notes?: string[];
  /** Only with `start`. */
  machine?: Machine;
}

/**
 * Whether {@link spawnSandboxed} can work here. Never throws. Without `start` it starts nothing, and what only a start can
 * show, such as a container that forbids ptrace, arrives as an `error` event of the process. With `start: true` it starts a
 * first program by each engine, and the promise has what came of it, and what this machine is: what `npx holdfast doctor`
 * prints.
 */
export function checkSupport(options: { start: true }): Promise<Support>;
export function checkSupport(options?: { start?: false }): Support;
export function checkSupport(options: { start?: boolean } = {}): Support | Promise<Support> {
  const support: Support = { supported: false, problems: [] };
  support.problems = findProblems(({ kernel, landlockAbi }) => Object.assign(support, { kernel, landlockAbi }));
  support.supported = support.problems.length === 0;
  return options.start === true ? tryAll(support) : support;
}

async function tryAll(support: Support): Promise<Support> {
  const machine = describeMachine();
  if (!support.supported) return { ...support, engines: [], notes: [], machine };
  const chosen = await tryEngine('auto');
  const engines: EngineTrial[] = [];
  for (const engine of ['notify', 'ptrace', 'kernel'] as const) engines.push(await tryEngine(engine));
  const { problem, engine } = chosen;
  const notes = notesOf(support, engine, machine);
  const untraced = engines.find((trial) => trial.engine === 'ptrace')?.problem;
  if (engine === 'kernel' && untraced !== undefined) {
    notes.unshift(
      `only policies that the kernel can decide by itself can be had, without hooks and violations (the engine kernel): ${untraced.message}`,
    );
  }
  if (problem !== undefined) return { ...support, supported: false, problems: [problem], engines, notes, machine };
  return { ...support, ...(engine === undefined ? {} : { engine }), engines, notes, machine };
}

function notesOf({ landlockAbi = 0, kernel = '' }: Support, engine: Engine | undefined, machine: Machine): string[] {
  const notes: string[] = [];
  const [major = 0, minor = 0] = kernel.split('.').map(Number);
  if (engine === 'ptrace') {
    notes.push(
      'a seccomp listener is there already (mirrored networking in WSL2, another sandbox), so each held call is a stop, which takes longer: start Node outside of it',
    );
  }
  if (landlockAbi === 0) {
    notes.push(
      'the kernel has no Landlock, so there is no second wall, and held calls are never left to the kernel: CONFIG_SECURITY_LANDLOCK, and landlock in the lsm= of its command line',
    );
  } else if (landlockAbi < 4) {
    notes.push(
      `Landlock's ABI ${landlockAbi} knows nothing of TCP ports (4, Linux 6.7), so connections are always held`,
    );
  }
  if (major < 5 || (major === 5 && minor < 19)) {
    notes.push('before Linux 5.19 a signal can interrupt a held call, so more calls are stops, which take longer');
  }
  if ('problem' in machine.controlGroup) {
    notes.push(`limits.memory is sampled, and limits.cpus refused: ${machine.controlGroup.problem}`);
  }
  return notes;
}
