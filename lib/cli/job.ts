// A program as a job of the shell that holdfast was called from: its signals, its stops, its terminal.
import { setImmediate } from 'node:timers/promises';
import type { SandboxedProcess } from '../index.ts';
import { isForeground, isOfTerminal, placeOf, takeForeground } from '../support/terminal.ts';

const passed = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const;

/** How long a stop, and what goes on, is left to itself: who presses Ctrl-Z stops us, too; and `fg` lets both go on. Milliseconds. */
const settles = 100;
const settlesAfterStop = 1000;

export class Job {
  readonly #child: SandboxedProcess;
  readonly #stops: (() => void)[] = [];
  readonly #hadForeground = isForeground();
  #interrupted = false;
  #isStopped = false;
  #wentOn = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  /** In the tick of the spawn. */
  constructor(child: SandboxedProcess) {
    this.#child = child;
    for (const signal of passed) this.#on(signal, () => this.#pass(signal));
    this.#on('SIGCONT', () => this.#goesOn());
    child.on('stop', () => {
      this.#isStopped = true;
      const justNow = performance.now() - this.#wentOn < settlesAfterStop;
      this.#later(justNow ? settlesAfterStop : settles, () => this.#stop());
    });
    child.on('continue', () => {
      this.#isStopped = false;
      clearTimeout(this.#timer);
    });
  }

  #on(signal: NodeJS.Signals, listener: () => void): void {
    process.on(signal, listener);
    this.#stops.push(() => process.off(signal, listener));
  }

  #later(milliseconds: number, act: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, milliseconds).unref();
  }

  #pass(signal: NodeJS.Signals): void {
    if (!isOfTerminal(signal)) this.#child.kill(signal);
    else if (signal === 'SIGINT') this.#interrupted = true;
  }

  /**
   * The shell waits for us, and does not see that the program has stopped (an editor at Ctrl-Z): as that would have stopped
   * all of its process group. Only where it has the terminal; and the kernel does nothing where no shell would be there to
   * let it go on (setpgid(2), "orphaned").
   */
  #stop(): void {
    const [own, its] = [placeOf('self'), placeOf(this.#child.pid ?? 0)];
    const hasTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
    if (!this.#isStopped || own === undefined || its === undefined || !hasTerminal) return;
    if (own.foreground === own.group || own.foreground === its.group) process.kill(0, 'SIGTSTP');
  }

  /** By the shell's `fg` the program does, too, unless it is in a group of its own. */
  #goesOn(): void {
    this.#wentOn = performance.now();
    this.#later(settles, () => {
      if (this.#isStopped) this.#child.kill('SIGCONT');
    });
  }

  /** The program has ended. Of the signal that has ended both we may not have heard yet: Node looks for such once in each turn of its loop. */
  async end(): Promise<void> {
    for (let turns = 0; turns < 2; turns++) await setImmediate();
    for (const stop of this.#stops.splice(0)) stop();
    clearTimeout(this.#timer);
    if (this.#hadForeground) takeForeground();
  }

  /**
   * Behind all else. What Ctrl-C has ended ends so itself: a shell that runs a script or a loop goes on behind a program
   * that took the signal for something else, and only then.
   */
  endAs(signal: NodeJS.Signals | null): void {
    if (this.#interrupted && signal === 'SIGINT') process.kill(process.pid, signal);
  }
}
