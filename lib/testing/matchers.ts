// What a test expects of a run, and in which words it is told that it was otherwise. The shape is that of `expect.extend` of jest and
// vitest, so that no test framework is needed here.
import { AssertionError } from 'node:assert';
import { relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { HoldfastError, type SandboxedResult, type Violation } from '../index.ts';
import { visible } from '../process/visible.ts';
import { matcherOf } from './pattern.ts';
import { shown, wrong } from './problems.ts';
import type { SandboxRun } from './sandbox.ts';

/** A refusal that is expected: all that is named must be so. */
export interface ExpectedViolation {
  /** The right that was missing. */
  access?: string;
  /** A path or a pattern, absolute or relative to the private folder. */
  path?: string;
  address?: string;
  port?: number;
  syscall?: string;
  /** The rule that refused it: `files.deny[0]`. */
  rule?: string;
  /** A pattern for the program. */
  executable?: string;
}

/** The matchers, as `expect` has them; `R` is what they return. */
export interface SandboxMatchers<R = void> {
  /**
   * These calls were refused, each at least once, and no others. Text is a path or a pattern (absolute, or relative to the private
   * folder), or `address:port`. Probes, looks at what a program does without, are not counted.
   */
  toHaveViolated(expected: readonly (string | ExpectedViolation)[]): R;
  /** It ended by this exit code, or this signal. */
  toHaveExited(expected: number | NodeJS.Signals): R;
  /** These files were made or changed in the private folder, and no others. Text is a path or a pattern. */
  toHaveWritten(expected: readonly (string | RegExp)[]): R;
  /** These files are not there any more, and no others are gone. */
  toHaveRemoved(expected: readonly (string | RegExp)[]): R;
  /** It has connected to these, and to nothing else: ports of the loopback, or texts as `connections` has them. */
  toHaveConnectedTo(expected: readonly (number | string | RegExp)[]): R;
}

/** What a matcher answers, to jest and vitest. */
export interface MatcherResult {
  pass: boolean;
  message: () => string;
  actual?: unknown;
  expected?: unknown;
}

type Run = Pick<SandboxRun, 'violations' | 'folder' | 'exitCode' | 'signal' | 'stderr'>;

/** What `runSandboxed` gives will do, where a matcher needs no more. */
function checkRun(run: unknown, matcher: string): Run {
  const { violations, folder = process.cwd() } = (run ?? {}) as Partial<Run>;
  if (Array.isArray(violations)) return { ...(run as Run), folder };
  const what = run instanceof Promise ? 'a promise: await the run first' : shown(run);
  throw new HoldfastError(
    'ERR_HOLDFAST_INVALID_OPTION',
    `${matcher}(): is about what sandbox.run() gives, not ${what}`,
  );
}

/** What only a run in a sandbox of a test has. */
function namesOf(run: unknown, field: 'written' | 'removed' | 'connections', matcher: string): readonly string[] {
  const names = (checkRun(run, matcher) as Run & Partial<SandboxRun>)[field];
  if (Array.isArray(names)) return names;
  throw new HoldfastError(
    'ERR_HOLDFAST_INVALID_OPTION',
    `${matcher}(): is about what sandbox.run() gives: this result has no ${field}`,
  );
}

function checkList(expected: unknown, matcher: string): asserts expected is readonly unknown[] {
  if (!Array.isArray(expected)) throw wrong(`${matcher}()`, expected, 'must be a list');
}

/** A path as a test names it. */
const near = (path: string, folder: string): string => {
  const below = relative(folder, path);
  return below !== '' && !below.startsWith('..') ? below : path;
};

const pathMatches = (pattern: string, path: string, folder: string): boolean => {
  const plain = pattern.replace(/^\.\//, '').replace(/(?<=.)\/$/, '/**');
  if (plain === path || plain === near(path, folder)) return true;
  return matcherOf(plain)(plain.startsWith('/') || plain.startsWith('**') ? path : near(path, folder));
};

const addressOf = ({ address, port }: Violation): string | undefined =>
  address === undefined || port === undefined
    ? address
    : address.includes(':')
      ? `[${address}]:${port}`
      : `${address}:${port}`;

function fits(violation: Violation, expected: string | ExpectedViolation, folder: string): boolean {
  const { path, to } = violation;
  const paths = [path, to].filter((each) => each !== undefined);
  if (typeof expected === 'string') {
    return addressOf(violation) === expected || paths.some((each) => pathMatches(expected, each, folder));
  }
  return Object.entries(expected).every(([field, value]) => {
    if (value === undefined) return true;
    if (field === 'path') return paths.some((each) => pathMatches(value, each, folder));
    if (field === 'executable')
      return violation.executable !== undefined && pathMatches(value, violation.executable, folder);
    return violation[field as 'syscall' | 'access'] === value;
  });
}

const expectedFields = ['access', 'path', 'address', 'port', 'syscall', 'rule', 'executable'];

function checkExpected(expected: readonly unknown[]): asserts expected is readonly (string | ExpectedViolation)[] {
  for (const [i, each] of expected.entries()) {
    const field = `toHaveViolated()[${i}]`;
    if (typeof each === 'string' && each !== '') continue;
    if (typeof each !== 'object' || each === null) throw wrong(field, each, 'must be text or an object');
    const unknown = Object.keys(each).find((key) => !expectedFields.includes(key));
    if (unknown !== undefined)
      throw wrong(`${field}.${unknown}`, each, `is no field. Known are ${expectedFields.join(', ')}`);
  }
}

/** What of a refusal a person wants to know, in two lines. */
function told(violation: Violation, folder: string, times: number): string {
  const { syscall, path, to, errno, rule, reason, signal, targetPid, suggestion } = violation;
  const about = [
    path !== undefined && near(path, folder),
    to !== undefined && `to ${near(to, folder)}`,
    path === undefined && addressOf(violation),
    signal !== undefined && `${signal} to ${targetPid}`,
    violation.arguments !== undefined && Object.values(violation.arguments).join(' '),
  ].filter((part) => typeof part === 'string');
  const how = [`${syscall}: ${errno ?? 'refused'}`, rule, reason].filter((part) => part !== undefined);
  const first = `  ${[violation.access, ...about].filter((part) => part !== undefined).join(' ')}  (${how.join(', ')})`;
  const lines = [times > 1 ? `${first}, ${times} times` : first];
  if (suggestion !== undefined) {
    lines.push(`      to allow it: ${suggestion.field}: ${JSON.stringify(near(suggestion.value, folder))}`);
  }
  return lines.map(visible).join('\n');
}

function list(violations: readonly Violation[], folder: string): string {
  const counts = new Map<string, { violation: Violation; times: number }>();
  for (const violation of violations) {
    const { path, to, errno, rule, syscall } = violation;
    const key = JSON.stringify([violation.access, path, to, addressOf(violation), errno, rule, syscall]);
    const counted = counts.get(key);
    if (counted === undefined) counts.set(key, { violation, times: 1 });
    else counted.times++;
  }
  return [...counts.values()].map(({ violation, times }) => told(violation, folder, times)).join('\n');
}

const calls = (n: number) => (n === 1 ? '1 call was refused' : `${n} calls were refused`);

const endOf = (end: unknown) => (typeof end === 'number' ? `exit code ${end}` : `${end}`);

function toHaveViolated(given: unknown, expected: unknown): MatcherResult {
  const run = checkRun(given, 'toHaveViolated');
  checkList(expected, 'toHaveViolated');
  checkExpected(expected);
  const { folder, violations: all } = run;
  const counted = all.filter(({ probe }) => !probe);
  const surplus = counted.filter((violation) => !expected.some((each) => fits(violation, each, folder)));
  const missing = expected.filter((each) => !all.some((violation) => fits(violation, each, folder)));
  const pass = surplus.length === 0 && missing.length === 0;
  const message = () => {
    if (pass) return `expected other refusals than\n${list(counted, folder) || '  none'}`;
    const parts: string[] = [];
    if (surplus.length > 0) {
      const what =
        expected.length === 0
          ? `expected no refusals, but ${calls(surplus.length)}`
          : `${calls(surplus.length)} that nobody expected`;
      parts.push(`${what}:\n${list(surplus, folder)}`);
    }
    if (missing.length > 0) {
      parts.push(`expected and not refused:\n${missing.map((each) => `  ${shown(each)}`).join('\n')}`);
      parts.push(`It ended by ${endOf(run.signal ?? run.exitCode)}${lastWords(run)}`);
    }
    const probes = all.length - counted.length;
    if (probes > 0) parts.push(`(not counted: ${probes} looks at what the program does without)`);
    return parts.join('\n');
  };
  const names = [
    ...new Set(
      counted.map((each) => (each.path === undefined ? (addressOf(each) ?? each.syscall) : near(each.path, folder))),
    ),
  ];
  return { pass, message, actual: names, expected };
}

/** A program's last words, where it has said why. */
function lastWords({ stderr }: Run): string {
  const lines = typeof stderr === 'string' ? stderr.trimEnd().split('\n').slice(-10) : [];
  return lines.join('').trim() === ''
    ? ''
    : `\nIt wrote to stderr:\n${lines.map((line) => `  ${visible(stripVTControlCharacters(line))}`).join('\n')}`;
}

function toHaveExited(given: unknown, expected: unknown): MatcherResult {
  const run = checkRun(given, 'toHaveExited');
  const isSignal = typeof expected === 'string' && /^SIG[A-Z0-9]+$/.test(expected);
  if (!isSignal && !(Number.isInteger(expected) && Number(expected) >= 0 && Number(expected) < 256)) {
    throw wrong('toHaveExited()', expected, 'must be an exit code, 0 to 255, or the name of a signal');
  }
  const actual = run.signal ?? run.exitCode;
  const refused =
    run.violations.length === 0 ? '' : `\n${calls(run.violations.length)}:\n${list(run.violations, run.folder)}`;
  return {
    pass: actual === expected,
    message: () =>
      actual === expected
        ? `expected another end than ${endOf(expected)}`
        : `expected it to end by ${endOf(expected)}, but it ended by ${endOf(actual)}${lastWords(run)}${refused}`,
    actual,
    expected,
  };
}

function sameNames(
  matcher: string,
  what: string,
  actual: readonly string[],
  expected: unknown,
  testOf: (expected: unknown, field: string) => (name: string) => boolean,
): MatcherResult {
  checkList(expected, matcher);
  const tests = expected.map((each, i) => testOf(each, `${matcher}()[${i}]`));
  const surplus = actual.filter((name) => !tests.some((isIt) => isIt(name)));
  const missing = expected.filter((_, i) => !actual.some((name) => tests[i]?.(name)));
  const pass = surplus.length === 0 && missing.length === 0;
  const lines = (names: readonly unknown[]) =>
    names.map((name) => `  ${typeof name === 'string' ? visible(name) : shown(name)}`).join('\n');
  return {
    pass,
    message: () =>
      pass
        ? `expected something else to be ${what} than\n${lines(actual) || '  nothing'}`
        : [
            surplus.length > 0 && `${what}, and not expected:\n${lines(surplus)}`,
            missing.length > 0 && `expected, and not ${what}:\n${lines(missing)}`,
          ]
            .filter((part) => part !== false)
            .join('\n'),
    actual,
    expected,
  };
}

const nameTest = (folder: string) => (expected: unknown, field: string) => {
  if (expected instanceof RegExp) return (name: string) => expected.test(name);
  if (typeof expected !== 'string' || expected === '') throw wrong(field, expected, 'must be text or a RegExp');
  return (name: string) => pathMatches(near(expected, folder), `${folder}/${name}`, folder);
};

function toHaveWritten(run: unknown, expected: unknown): MatcherResult {
  const { folder } = checkRun(run, 'toHaveWritten');
  return sameNames('toHaveWritten', 'written', namesOf(run, 'written', 'toHaveWritten'), expected, nameTest(folder));
}

function toHaveRemoved(run: unknown, expected: unknown): MatcherResult {
  const { folder } = checkRun(run, 'toHaveRemoved');
  return sameNames('toHaveRemoved', 'removed', namesOf(run, 'removed', 'toHaveRemoved'), expected, nameTest(folder));
}

function toHaveConnectedTo(run: unknown, expected: unknown): MatcherResult {
  const connections = namesOf(run, 'connections', 'toHaveConnectedTo');
  return sameNames('toHaveConnectedTo', 'connected to', connections, expected, (each, field) => {
    if (each instanceof RegExp) return (name) => each.test(name);
    if (typeof each === 'string' && each !== '') return (name) => each === name;
    if (typeof each !== 'number') throw wrong(field, each, 'must be a port, text or a RegExp');
    return (name) => name === `127.0.0.1:${each}` || name === `[::1]:${each}`;
  });
}

/** For `expect.extend()` of jest and vitest. */
export const matchers = { toHaveViolated, toHaveExited, toHaveWritten, toHaveRemoved, toHaveConnectedTo };

/**
 * The same for who has no `expect`, as users of node:test: `expectRun(run).toHaveViolated([])`, `expectRun(run).not.toHaveExited(0)`.
 * @throws {AssertionError} If it is otherwise.
 */
export function expectRun(
  run: SandboxRun | SandboxedResult<unknown, unknown, unknown>,
): SandboxMatchers & { readonly not: SandboxMatchers } {
  const make = (wanted: boolean, from: (...given: never[]) => unknown): SandboxMatchers => {
    const entries = Object.entries(matchers).map(([name, matcher]) => {
      const check = (expected: unknown) => {
        const { pass, message, actual, expected: said } = matcher(run, expected);
        if (pass === wanted) return;
        throw new AssertionError({ message: message(), actual, expected: said, operator: name, stackStartFn: from });
      };
      return [name, check];
    });
    return Object.fromEntries(entries) as SandboxMatchers;
  };
  return { ...make(true, expectRun), not: make(false, expectRun) };
}
