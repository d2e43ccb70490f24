// A program of the tree that answers line by line.
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type Policy, type SandboxedProcess, type SpawnSandboxedOptions, spawnSandboxed } from 'holdfast';

/** Starts it. `listen` comes before the command runs. `next` is its next line; undefined when there is none any more. */
export function started(
  command: string,
  args: string[],
  policy: Policy,
  listen?: (child: SandboxedProcess) => void,
  options?: Pick<SpawnSandboxedOptions, 'cwd' | 'env'>,
) {
  const child = spawnSandboxed(command, args, { ...options, policy, stdio: ['pipe', 'pipe', 'inherit'] });
  listen?.(child);
  child.stdin.on('error', () => {}); // it may be killed meanwhile
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const closed = once(child as never, 'close');
  const next = async () => (await lines.next()).value as string;
  return { child, closed, next, say: (line: string) => child.stdin.write(`${line}\n`) };
}
