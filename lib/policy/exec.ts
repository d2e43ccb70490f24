// Rules on what is executed, beside plain paths: by pattern, by arguments, and by whom the caller descends from.
import type { FieldWriter } from '../native/fields.ts';
import { notUtf8 } from './addresses.ts';
import { type Names, namesOf, PatternProblem } from './pattern.ts';

/** Patterns for programs that the caller, or a process that it descends from, has executed; one is enough. */
export type Under = string | URL | readonly (string | URL)[];

/** A program, with what arguments, started by whom. */
export interface ExecEntry {
  /**
   * A pattern for the canonical path of the program, as in a hook's filter: a path stands for itself and all below it,
   * `*` and `?` stay within one component, `**` crosses them.
   */
  path: string | URL;
  /**
   * The arguments without `argv[0]`, a pattern for each: `*` in it stands for any text, `?` for one byte, `\` quotes; and
   * `'**'` for any number of arguments, none too. `[]`: none at all. Default: whatever they are.
   */
  argv?: readonly string[];
  /** Only for callers that have executed such a program, or descend from one that has. */
  under?: Under;
}

/** The long form of {@link Policy.exec}. */
export interface ExecPolicy {
  /** What may be executed. Without it, whatever may be read may be executed, but for what the rest says. */
  allow?: readonly (string | URL | ExecEntry)[];
  /** Refused before any hook is asked. A plain path as in `files.deny`, with all below it. */
  deny?: readonly (string | URL | ExecEntry)[];
  /**
   * `false`: no program, script or interpreter that the tree has written, and no program in memory, is executed.
   * Default: true.
   */
  written?: boolean;
  /**
   * `false`: no memory is writable and executable, nor becomes executable later (Linux 6.3). Programs that compile while
   * they run (Node, Java, LuaJIT) do not start then. Default: true.
   */
  writableMappings?: boolean;
}

export interface ExecRule {
  effect: 'allow' | 'deny';
  access: number;
  label: string;
  names: readonly Names[];
  argv: readonly string[] | undefined;
  under: number | undefined;
  named?: true;
}

export interface UnderRule {
  number: number;
  effect: 'allow' | 'deny';
  names: readonly Names[];
}

/** How many different `under` a policy can have, and all hooks of a sandbox (native/call/lineage.h). */
export const MOST_UNDER = 128;

/** Gives each different `under` its number. */
export class Unders {
  readonly rules: UnderRule[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #first: number;

  constructor(first: number) {
    this.#first = first;
  }

  /** @throws {PatternProblem} with the place in the list, if it is one. */
  number(under: Under, effect: 'allow' | 'deny', cwd: string, refuse: Refuse): number {
    const list = Array.isArray(under) ? (under as readonly (string | URL)[]) : [under as string | URL];
    const names = list.flatMap((pattern, i) =>
      patternNames(pattern, cwd, refuse, Array.isArray(under) ? `[${i}]` : ''),
    );
    const key = JSON.stringify([effect, names]);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      if (this.rules.length === MOST_UNDER)
        return refuse('', under, `is one too many: ${MOST_UNDER} different ones are possible`);
      number = this.#first + this.rules.length;
      this.#numbers.set(key, number);
      this.rules.push({ number, effect, names });
    }
    return number;
  }
}

/** Throws an error about a part of the field that is being read. */
export type Refuse = (part: string, value: unknown, problem: string) => never;

export function patternNames(pattern: string | URL, cwd: string, refuse: Refuse, part: string): Names[] {
  try {
    return namesOf(pattern, cwd);
  } catch (error) {
    if (!(error instanceof PatternProblem)) throw error;
    return refuse(part, pattern instanceof URL ? pattern.href : pattern, error.message);
  }
}

function checkArgument(pattern: string, part: string, refuse: Refuse): void {
  if (pattern.includes('\0')) refuse(part, pattern, 'contains a NUL byte');
  if (notUtf8(pattern)) refuse(part, pattern, 'cannot be written as UTF-8');
  if (Buffer.byteLength(pattern) > 4095) refuse(part, pattern, 'is longer than 4095 bytes');
  if (/(?:^|[^\\])(?:\\\\)*\\$/.test(pattern)) refuse(part, pattern, 'ends with a \\ that quotes nothing');
  if (/^[^\\]*\*\*/.test(pattern) && pattern !== '**') {
    refuse(part, pattern, "has ** in it, which stands for whole arguments only: '**' by itself, or one *");
  }
}

/** An entry that says more than a path. */
export function execRule(
  value: ExecEntry,
  effect: 'allow' | 'deny',
  access: number,
  label: string,
  cwd: string,
  unders: Unders,
  refuse: Refuse,
): ExecRule {
  const names = patternNames(value.path, cwd, refuse, '.path');
  if (typeof value.path === 'string' && !/[/*?[\\]|^\.{1,2}$/.test(value.path)) {
    refuse('.path', value.path, `is a bare name: write an absolute path, or **/${value.path} for wherever it lies`);
  }
  for (const [i, pattern] of (value.argv ?? []).entries()) checkArgument(pattern, `.argv[${i}]`, refuse);
  return {
    effect,
    access,
    label,
    names,
    argv: value.argv && [...value.argv],
    under:
      value.under === undefined
        ? undefined
        : unders.number(value.under, effect, cwd, (part, wrong, problem) => refuse(`.under${part}`, wrong, problem)),
  };
}

function names(writer: FieldWriter, { path, pattern }: Names): void {
  if (path !== undefined) writer.text('path', path);
  if (pattern !== undefined) writer.text('pattern', pattern);
}

export function writeUnder(writer: FieldWriter, rules: readonly UnderRule[]): void {
  for (const { number, effect, names: all } of rules) {
    for (const one of all) {
      writer.nested('underRule', (fields) => {
        fields.number('under', number).number('effect', effect === 'allow' ? 1 : 2);
        names(fields, one);
      });
    }
  }
}

export function writeExecRules(writer: FieldWriter, rules: readonly ExecRule[]): void {
  for (const rule of rules) {
    writer.nested('execRule', (fields) => {
      fields
        .number('effect', rule.effect === 'allow' ? 1 : 2)
        .number('access', rule.access)
        .text('label', rule.label);
      for (const one of rule.names) fields.nested('nameRule', (inner) => names(inner, one));
      if (rule.argv !== undefined) {
        fields.number('byArguments', 1);
        for (const argument of rule.argv) fields.text('argument', argument);
      }
      if (rule.under !== undefined) fields.number('under', rule.under);
    });
  }
}
