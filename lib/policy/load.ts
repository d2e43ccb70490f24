// Policies in files: JSON with comments and trailing commas, found mistakes with their line.
import { closeSync, constants, fstatSync, openSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  findNodeAtLocation,
  getNodeValue,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser';
import { HoldfastError, type PolicyProblem } from '../errors.ts';
import { shown } from './check.ts';
import { checkFolders, expanded, frozen, mistakes } from './define.ts';
import type { Policy } from './policy.ts';
import { type Found, fieldOf, isData, policyError, problem } from './problems.ts';
import { Variables } from './variables.ts';

/** What a policy may take is less. */
const MAX_BYTES = 64 << 20;

/** Where the lines of a text begin: it is asked for each problem, of which there can be as many as lines. */
class Lines {
  readonly #starts = [0];

  constructor(text: string) {
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.#starts.push(at + 1);
  }

  /** Both from 1 on. */
  place(offset: number): { line: number; column: number } {
    let [line, behind] = [0, this.#starts.length];
    while (behind - line > 1) {
      const middle = (line + behind) >> 1;
      if ((this.#starts[middle] as number) <= offset) line = middle;
      else behind = middle;
    }
    return { line: line + 1, column: offset - (this.#starts[line] as number) + 1 };
  }
}

/** A file, and what stands in it. */
interface Source {
  /** As it was named. */
  readonly file: string;
  readonly path: string;
  readonly lines: Lines;
  readonly root: Node;
  /** Those that it starts from, by where they stand in it: `extends`, `extends[0]`. */
  readonly parts: Map<string, Source>;
}

class FileProblem extends Error {
  readonly problems: readonly PolicyProblem[];

  constructor(problems: readonly PolicyProblem[], cause?: unknown) {
    super('', { cause });
    this.problems = problems;
  }
}

function problemAt(
  { file, lines }: Pick<Source, 'file' | 'lines'>,
  offset: number,
  field: string,
  words: string,
): PolicyProblem {
  const { line, column } = lines.place(offset);
  return { ...problem(field, `${file}:${line}:${column}: ${field}${words}`), file, line, column };
}

function readText(path: string, file: string): string {
  const refuse = (what: string, cause?: unknown) =>
    new FileProblem([{ ...problem('', `${file}: ${what}`), file }], cause);
  let bytes: Uint8Array;
  let descriptor: number | undefined;
  try {
    // Not waiting for whoever opens the other end of a FIFO.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw refuse('is no file that a policy could stand in');
    if (stat.size > MAX_BYTES) throw refuse(`is larger than ${MAX_BYTES >> 20} MiB`);
    bytes = readFileSync(descriptor);
  } catch (error) {
    if (error instanceof FileProblem) throw error;
    throw refuse(`cannot be read: ${(error as Error).message}`, error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw refuse('is no UTF-8', error);
  }
}

/** `CommaExpected` as words. */
const syntaxWords = (code: number): string =>
  printParseErrorCode(code as never)
    .replace(/(?<!^)[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
    .toLowerCase();

function* repeated(
  node: Node,
  keys: readonly PropertyKey[] = [],
): Generator<{ keys: PropertyKey[]; node: Node; first: Node }> {
  if (node.type === 'array') {
    for (const [i, child] of (node.children ?? []).entries()) yield* repeated(child, [...keys, i]);
  }
  if (node.type !== 'object') return;
  const first = new Map<string, Node>();
  for (const { children: [name, value] = [] } of node.children ?? []) {
    if (name === undefined) continue;
    const key = name.value as string;
    const known = first.get(key);
    if (known === undefined) first.set(key, name);
    else yield { keys: [...keys, key], node: name, first: known };
    if (value !== undefined) yield* repeated(value, [...keys, key]);
  }
}

function parsed(path: string, file: string): Source {
  const text = readText(path, file);
  const lines = new Lines(text);
  const errors: ParseError[] = [];
  let root: Node | undefined;
  try {
    root = parseTree(text, errors, { allowTrailingComma: true });
    const [again] = root === undefined ? [] : [[...repeated(root)]];
    const at = { file, lines };
    const problems = errors.map(({ error, offset }) => problemAt(at, offset, '', `is no JSON: ${syntaxWords(error)}`));
    if (errors.length === 0 && root === undefined)
      problems.push(problemAt(at, 0, '', 'is empty: an empty policy is {}'));
    for (const { keys, node, first } of again ?? []) {
      const where = lines.place(first.offset).line;
      problems.push(problemAt(at, node.offset, fieldOf(keys), `: stands here again: it is on line ${where} already`));
    }
    if (problems.length > 0) throw new FileProblem(problems);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new FileProblem([{ ...problem('', `${file}: is nested too deep for a policy`), file }], error);
  }
  return { file, path, lines, root: root as Node, parts: new Map() };
}

/** Starts from another file, rather than from a policy's name. */
const isFile = (value: unknown): value is string => typeof value === 'string' && /^(?:\.{0,2}\/|~\/|file:)/.test(value);

/** What a file says, with what it starts from in place of its name. */
function read(
  path: string,
  file: string,
  above: readonly string[],
  found: PolicyProblem[],
): { source: Source; policy: unknown } {
  const source = parsed(path, file);
  const policy: unknown = getNodeValue(source.root);
  if (!isData(policy) || Array.isArray(policy)) return { source, policy };
  const own = policy as { extends?: unknown };
  const real = [...above, realpathSync(path)];
  const part = (value: unknown, keys: readonly (string | number)[]): unknown => {
    if (!isFile(value)) return value;
    const field = fieldOf(keys);
    const offset = findNodeAtLocation(source.root, [...keys])?.offset ?? 0;
    const refuse = (what: string) => {
      found.push(problemAt(source, offset, field, `: ${shown(value)} ${what}`));
      return {};
    };
    const target = value.startsWith('file:') ? fileURLToPath(value) : resolve(dirname(path), value);
    try {
      if (real.includes(realpathSync(target))) return refuse('starts from itself');
      const name = value.startsWith('.') ? join(dirname(file), value) : target;
      const below = read(target, name, real, found);
      source.parts.set(field, below.source);
      return below.policy;
    } catch (error) {
      if (error instanceof FileProblem && !error.problems.some(({ line }) => line === undefined)) {
        found.push(...error.problems);
        return {};
      }
      return refuse(
        error instanceof FileProblem
          ? (error.problems[0]?.message ?? '')
          : `cannot be read: ${(error as Error).message}`,
      );
    }
  };
  own.extends = Array.isArray(own.extends)
    ? own.extends.map((value, i) => part(value, ['extends', i]))
    : part(own.extends, ['extends']);
  if (own.extends === undefined) delete own.extends;
  return { source, policy };
}

/** In which file a field stands, and by what keys there. */
function sourceOf(source: Source, keys: readonly PropertyKey[]): { source: Source; keys: readonly PropertyKey[] } {
  for (const length of [1, 2]) {
    const part = keys[0] === 'extends' ? source.parts.get(fieldOf(keys.slice(0, length))) : undefined;
    if (part !== undefined) return sourceOf(part, keys.slice(length));
  }
  return { source, keys };
}

/** Where a field begins; of one that is missing, what it is missing from. */
function offsetOf(root: Node, keys: readonly PropertyKey[]): number {
  for (let length = keys.length; length > 0; length--) {
    const node = findNodeAtLocation(root, keys.slice(0, length) as (string | number)[]);
    if (node !== undefined) return node.parent?.type === 'property' ? node.parent.offset : node.offset;
  }
  return root.offset;
}

/**
 * Reads a policy from a file: JSON, with comments and trailing commas if it has them. Relative paths are of the folder that the file lies in, and
 * `extends` may name other such files (`'./base.json'`). Else as {@link definePolicy}; each problem has `file`, `line` and `column`.
 * @param options.cwd What `$CWD` stands for. Default: the working directory of this process.
 * @param options.package What `$PACKAGE` stands for. Default: the nearest folder that has a package.json, from `cwd` upwards.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_POLICY` with `problems`, also where the file cannot be read; `ERR_HOLDFAST_INVALID_OPTION`.
 */
export function loadPolicy(file: string | URL, options?: { cwd?: string | URL; package?: string | URL }): Policy;
export function loadPolicy(file: unknown, options: unknown = {}): unknown {
  const { cwd = process.cwd(), package: folder } = checkFolders(options, 'loadPolicy');
  if (
    !(typeof file === 'string' && file !== '' && !file.includes('\0')) &&
    !(file instanceof URL && file.protocol === 'file:')
  ) {
    throw new HoldfastError('ERR_HOLDFAST_INVALID_OPTION', `file: ${shown(file)} must be the path of a policy file`);
  }
  const named = typeof file === 'string' ? file : fileURLToPath(file);
  const problems: PolicyProblem[] = [];
  let top: { source: Source; policy: unknown };
  try {
    top = read(resolve(named), named, [], problems);
  } catch (error) {
    if (error instanceof FileProblem) throw policyError(error.problems, named, error.cause);
    throw error;
  }
  if (!isData(top.policy)) {
    const { source, policy } = top;
    throw policyError(
      [problemAt(source, source.root.offset, '', `${shown(policy)} is no object with a policy's fields`)],
      named,
    );
  }
  const found: Found[] = [];
  const folderOf = (keys: readonly PropertyKey[]) => dirname(sourceOf(top.source, keys).source.path);
  const made = expanded(top.policy, new Variables({ cwd, package: folder }), folderOf, found);
  for (const { keys, text } of mistakes(made, cwd, found)) {
    const at = sourceOf(top.source, keys);
    problems.push(problemAt(at.source, offsetOf(at.source.root, at.keys), fieldOf(keys), text));
  }
  if (problems.length > 0) {
    problems.sort((one, other) =>
      one.file === other.file ? (one.line ?? 0) - (other.line ?? 0) || (one.column ?? 0) - (other.column ?? 0) : 0,
    );
    throw policyError(problems, named);
  }
  return frozen(made);
}
