// What a run was refused, for people: one line for each kind, with what would allow it.
import type { createColors } from 'picocolors';
import type { Violation } from '../index.ts';
import { visible } from '../process/violation.ts';
import { shellWord } from '../run/words.ts';

type Colours = ReturnType<typeof createColors>;

/** The flags of `holdfast run` that give what a field of a policy gives. */
const flags: Readonly<Record<string, string>> = {
  'files.read': '--read',
  'files.write': '--write',
  'files.metadata': '--look',
  exec: '--exec',
  'exec.allow': '--exec',
  'network.connect': '--connect',
  'network.bind': '--bind',
};

/** Refusals that differ in the process only. */
export interface Refused {
  readonly violation: Violation;
  /** The right that was missing, or the call. */
  readonly access: string;
  /** What was asked for. */
  readonly what: string;
  readonly count: number;
  /** What would allow it, as a flag where there is one; else why it was refused. */
  readonly hint: string;
  /** A look at what may be there, which programs do without. */
  readonly probe: boolean;
}

function whatOf({ path, to, address, port, signal, targetPid, ...others }: Violation): string {
  if (path !== undefined) return to === undefined ? path : `${path} → ${to}`;
  if (address !== undefined) {
    if (port === undefined) return address;
    return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  }
  if (signal !== undefined) return `${signal} to ${targetPid}`;
  const named = Object.entries(others.arguments ?? {}).map(([name, value]) => `${name} ${value}`);
  return named.join(', ');
}

function hintOf({ suggestion, rule, reason }: Violation): string {
  if (suggestion === undefined) return [rule, reason].filter((part) => part !== undefined && part !== '').join(', ');
  const { field, value } = suggestion;
  const flag = flags[field];
  return flag === undefined ? `${field}: ${visible(JSON.stringify(value))}` : `${flag} ${shellWord(value)}`;
}

/** The same things once, in the order in which they came first. */
export function refusedOnce(violations: readonly Violation[]): Refused[] {
  const kinds = new Map<string, Refused & { count: number }>();
  for (const violation of violations) {
    const access = violation.access ?? violation.syscall;
    const what = visible(whatOf(violation));
    const hint = hintOf(violation);
    const key = JSON.stringify([access, what, hint, violation.executable, violation.errno]);
    const known = kinds.get(key);
    if (known !== undefined) known.count++;
    else kinds.set(key, { violation, access, what, hint, count: 1, probe: violation.probe });
  }
  return [...kinds.values()];
}

/** So many lines are read by somebody. */
const MOST_LINES = 25;

const times = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;

/**
 * A table, or nothing if nothing was refused.
 * @param everything Looks, too. @param failed Whether looks may be why the program has failed; else they are not even counted.
 */
export function summaryOf(
  violations: readonly Violation[],
  omitted: number,
  colours: Colours,
  everything: boolean,
  failed = true,
): string[] {
  const kinds = refusedOnce(violations);
  const looks = everything ? [] : kinds.filter(({ probe }) => probe);
  const rows = everything ? kinds : kinds.filter(({ probe }) => !probe);
  const lines: string[] = [];
  const total = rows.reduce((sum, { count }) => sum + count, 0);
  if (rows.length > 0) {
    const dry = rows.every(({ violation }) => (violation as { readonly dry?: true }).dry === true);
    const what = dry ? 'let by that would be refused' : 'refused';
    lines.push(colours.yellow(`holdfast: ${times(total, 'call')} ${what}`));
    const shown = rows.slice(0, MOST_LINES);
    const cells = shown.map(({ access, what, violation, count }) => [
      access,
      what,
      `${visible(violation.executable ?? '?')}${count > 1 ? ` ×${count}` : ''}`,
    ]);
    const widths = [0, 1, 2].map((column) => Math.max(...cells.map((row) => (row[column] as string).length)));
    for (const [i, { hint, violation }] of shown.entries()) {
      const padded = (cells[i] as string[]).map((cell, column) => cell.padEnd(widths[column] as number));
      const last = violation.suggestion === undefined ? colours.dim(hint) : colours.green(hint);
      lines.push(
        `  ${[colours.red(padded[0] as string), padded[1], colours.dim(padded[2] as string), last].join('  ').trimEnd()}`,
      );
    }
    if (rows.length > shown.length) lines.push(`  and ${rows.length - shown.length} more kinds (--json has all)`);
  }
  if (looks.length > 0 && failed) {
    const count = looks.reduce((sum, look) => sum + look.count, 0);
    lines.push(colours.dim(`holdfast: ${times(count, 'look')} at what is not granted (--all shows them)`));
  }
  if (omitted > 0) lines.push(`holdfast: ${times(omitted, 'more refusal')}, not kept`);
  return lines;
}
