import { HoldfastError } from '../errors.ts';
import { supervisorIsInMemory, supervisorPath } from '../native/native.ts';
import { findProblems, type SupportProblem } from '../native/problems.ts';
import type { Engine } from '../process/engine.ts';
import { SandboxedProcess } from '../process/sandboxed-process.ts';
import { normalizeSpawn } from './options.ts';

export type { SupportProblem } from '../native/problems.ts';

/** What {@link checkSupport} finds. */
export interface Support {
  supported: boolean;
  /** Why not. Empty if supported. */
  problems: SupportProblem[];
  /** Release of the running kernel; undefined where the native part cannot be loaded. */
  kernel?: string;
  /** 0 where the kernel has no Landlock: then the second wall is missing, and everything else works. */
  landlockAbi?: number;
  /** Who holds calls here, as a first program found; undefined without `start`, or where none could be started. */
  engine?: Engine;
}

/**
 * Whether {@link spawnSandboxed} can work here. Never throws. Without `start` it starts nothing, and what only a start can
 * show, such as a container that forbids ptrace, arrives as an `error` event of the process. With `start: true` it tries
 * one, and the promise has what that event would say.
 */
export function checkSupport(options: { start: true }): Promise<Support>;
export function checkSupport(options?: { start?: false }): Support;
export function checkSupport(options: { start?: boolean } = {}): Support | Promise<Support> {
  const support: Support = { supported: false, problems: [] };
  support.problems = findProblems(({ kernel, landlockAbi }) => Object.assign(support, { kernel, landlockAbi }));
  support.supported = support.problems.length === 0;
  if (options.start !== true) return support;
  return support.supported ? tryStart(support) : Promise.resolve(support);
}

/**
 * The supervisor itself is a program that is there and needs no other file; by itself it only prints a list. Into a pipe,
 * as 'ignore' is a /dev/null that need not be there.
 */
function tryStart(support: Support): Promise<Support> {
  return new Promise((resolve) => {
    const failed = (error: unknown) => {
      const code = error instanceof HoldfastError ? error.code : 'ERR_HOLDFAST_LAUNCH';
      const message = error instanceof Error ? error.message : String(error);
      resolve({ ...support, supported: false, problems: [{ code, message }] });
    };
    try {
      // One in memory has no name that the tree could know it by.
      const [program, argument, read] = supervisorIsInMemory()
        ? [process.execPath, '--version', '/']
        : [supervisorPath(), '--table', supervisorPath()];
      const options = { cwd: '/', env: {}, stdio: ['pipe', 'pipe', 'pipe'], policy: { files: { read: [read] } } };
      const child = new SandboxedProcess(normalizeSpawn(program, [argument], options));
      child.on('error', failed);
      for (const stream of child.stdio) {
        stream?.on('error', () => {}); // Nobody reads what it prints.
        if (stream && 'resume' in stream) stream.resume();
      }
      child.on('close', (code, signal) => {
        if (code === 0) resolve({ ...support, engine: child.engine });
        else failed(new Error(`a first program ended with ${signal ?? `exit code ${code}`}`));
      });
    } catch (error) {
      failed(error);
    }
  });
}
