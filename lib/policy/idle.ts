// Rules that can do nothing where the sandbox starts: mostly typing errors, sometimes a policy for several machines.
import { lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { accessBits, type FileRule, type NetworkRule, operationBits } from './policy.ts';

/** The argument of the `warning` event: a rule that does nothing here, or stands for less than it seems. */
export interface PolicyWarning {
  /** The policy field: `files.read[0]`; `command` for the command's own path; `violation` for a listener that came late. */
  readonly rule: string;
  /** The path that the rule is for; else the command. */
  readonly path: string;
  /** The text of the symbolic link at the path, which is not followed. */
  readonly target?: string;
  /** In words. */
  readonly message: string;
}

const upwards = /(?:^|\/)\.\.(?:\/|$)/;

/** What we may not look at counts as there. */
function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOTDIR';
  }
}

/** Rules on unix sockets that have a path, as if on files: binding makes one. */
const socketRules = (rules: readonly NetworkRule[]): FileRule[] =>
  rules.flatMap((rule) => {
    if (rule.kind !== 'unix' || !rule.name.startsWith('/')) return [];
    const { effect, label, operations, named } = rule;
    const access = (operations & operationBits.bind) !== 0 ? accessBits.write : accessBits.read;
    return [{ effect, label, access, path: rule.name.replace(/(?<=.)\/+$/, ''), ...(named && { named }) }];
  });

/** Rules on paths that are not there and that nothing in the sandbox may make; undefined for each other one. */
export function* idleRules(
  files: readonly FileRule[],
  network: readonly NetworkRule[],
): Generator<PolicyWarning | undefined, void> {
  const rules = [...files, ...socketRules(network)];
  const known = new Map<string, boolean>();
  const there = (path: string) => {
    const answer = known.get(path) ?? isThere(path);
    known.set(path, answer);
    return answer;
  };
  const written = new Set(
    rules
      .filter((rule) => rule.effect === 'allow' && (rule.access & accessBits.write) !== 0 && rule.pattern === undefined)
      .map((rule) => rule.path),
  );
  const writtenWithin = rules
    .filter(
      ({ effect, access, pattern }) => pattern !== undefined && effect === 'allow' && (access & accessBits.write) !== 0,
    )
    .map(({ path }) => (path === '/' ? '' : path));
  /** A folder that a write rule is for, at or above the path; it is there, or may itself be made. */
  const canMake = (path: string): boolean => {
    const parent = dirname(path);
    if (written.has(path) && there(`${parent}/.`)) return true;
    if (writtenWithin.some((folder) => path.startsWith(`${folder}/`))) return true;
    return parent !== path && (there(parent) ? covered(parent) : canMake(parent));
  };
  const covered = (path: string): boolean => written.has(path) || (path !== '/' && covered(dirname(path)));
  for (const { path, label, access, effect, pattern, named } of rules) {
    // Those with `..` are only understood where they are followed.
    if (label === 'defaults' || named || pattern !== undefined || upwards.test(path) || there(path) || canMake(path)) {
      yield undefined;
      continue;
    }
    const right =
      effect === 'deny'
        ? 'refuses'
        : label.startsWith('files.') && access === accessBits.write
          ? 'lets write'
          : 'allows';
    const message = `policy.${label}: '${path}' is not there, and nothing in this sandbox may make it: the rule ${right} nothing`;
    yield { rule: label, path, message };
  }
}
