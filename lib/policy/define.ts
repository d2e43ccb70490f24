// Policies that are kept as data: variables in them, all their mistakes at once.
import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HoldfastError } from '../errors.ts';
import { shown } from './check.ts';
import { CompiledPolicy, checkPolicy, type Policy } from './policy.ts';
import { allProblems, copyOf, type Found, fieldOf, isData, policyError, problem } from './problems.ts';
import { inFolder, VariableProblem, Variables } from './variables.ts';

export interface DefinePolicyOptions {
  /**
   * What `$CWD` stands for, and what relative paths are of. Default: they stay relative, and so are of the command's
   * working directory.
   */
  cwd?: string | URL;
  /** What `$PACKAGE` stands for. Default: the nearest folder that has a package.json, from `cwd` (else the working directory of this process) upwards. */
  package?: string | URL;
}

export function folderOption(value: unknown, name: string): string | undefined {
  if (value === undefined) return undefined;
  const wrong = (what: string) =>
    new HoldfastError('ERR_HOLDFAST_INVALID_OPTION', `options.${name}: ${shown(value)} ${what}`);
  if (value instanceof URL && value.protocol === 'file:') return fileURLToPath(value);
  if (typeof value !== 'string') throw wrong('must be a path: a string or a file: URL');
  if (value === '' || value.includes('\0')) throw wrong('is no path');
  return resolve(value);
}

/** Of a call that takes `cwd` and `package`. */
export function checkFolders(options: unknown, of: string): { cwd: string | undefined; package: string | undefined } {
  if (!isData(options) || Array.isArray(options)) {
    throw new HoldfastError('ERR_HOLDFAST_INVALID_OPTION', `options: ${shown(options)} must be an object`);
  }
  const { cwd, package: folder, ...others } = { __proto__: null, ...options } as Record<string, unknown>;
  for (const [name, value] of Object.entries(others)) {
    const problem = `${shown(value)} is not an option of ${of}. Known are cwd, package`;
    throw new HoldfastError('ERR_HOLDFAST_INVALID_OPTION', `options.${name}: ${problem}`);
  }
  return { cwd: folderOption(cwd, 'cwd'), package: folderOption(folder, 'package') };
}

/** What a text of a policy is, by where it stands. */
function kindOf(keys: readonly PropertyKey[]): 'path' | 'address' | 'word' {
  // Behind the last policy that it lies in.
  const nested = keys.lastIndexOf('extends');
  const own = nested < 0 ? keys : keys.slice(nested + (typeof keys[nested + 1] === 'number' ? 2 : 1));
  const [field] = own;
  const list = own.findLast((key) => typeof key === 'string');
  if (own.length < 2 || list === 'access' || list === 'operations' || list === 'argv') return 'word';
  if (field === 'network') return 'address';
  if (field !== 'files' && field !== 'exec') return 'word';
  return typeof own.at(-1) === 'number' || list === 'path' || list === 'under' ? 'path' : 'word';
}

/** A path of a policy that lies in `folder`, from there. */
function fromFolder(text: string, folder: string): string {
  if (isAbsolute(text) || text === '' || text !== text.trim() || /^[~$]|^[a-z][a-z0-9+.-]*:/i.test(text)) return text;
  // Wherever they lie, as in a hook's filter.
  const isWild = /[*?[]/.test(text.replace(/\\./gs, ''));
  if (text.startsWith('**') || (isWild && !text.includes('/'))) return text;
  return inFolder(folder, `/${text === '.' ? '' : text.replace(/^\.\//, '')}`.replace(/^\/$/, ''));
}

const isWhole = (value: object) => CompiledPolicy.is(value);

/**
 * Its variables and relative paths, put into words that any policy may have. What cannot be is told, and left out.
 * @param folder What relative paths are of; without it they stay.
 */
export function expanded(
  policy: unknown,
  variables: Variables,
  folderOf: (keys: readonly PropertyKey[]) => string | undefined,
  found: Found[],
): unknown {
  return copyOf(policy, isWhole, (value, keys) => {
    if (typeof value !== 'string') return value;
    const kind = kindOf(keys);
    if (kind === 'word') return value;
    try {
      if (kind === 'address') return variables.address(value);
      // Looked for in PATH by shells, anywhere by patterns, and nowhere by us: the check says so.
      const isName = !value.includes('/') && (keys.includes('exec') || keys.includes('under'));
      const folder = isName ? undefined : folderOf(keys);
      const path = variables.path(value);
      return folder === undefined || path !== value ? path : fromFolder(path, folder);
    } catch (error) {
      if (!(error instanceof VariableProblem)) throw error;
      found.push({ keys, text: `: ${shown(value)} ${error.message}` });
      return kind === 'address' ? '*' : '/';
    }
  });
}

/** Everything that the check says of it, beside what was found before. */
export function mistakes(policy: unknown, cwd: string, found: readonly Found[]): Found[] {
  return [...found, ...allProblems(copyOf(policy, isWhole), (copy) => checkPolicy(copy, cwd))];
}

/** So that it means tomorrow what was checked today. */
export function frozen<T>(value: T): T {
  if (!isData(value) || isWhole(value)) return value;
  for (const part of Object.values(value)) frozen(part);
  return Object.freeze(value);
}

/**
 * Checks a policy where it is written down, and returns it as plain data that does not change any more. All its mistakes come as one
 * error, each with its field and, where a name is misspelt, what was likely meant.
 *
 * At the start of a path `$CWD` stands for `cwd`, `$HOME` (also `~`) for the home directory of this process's user
 * (os.homedir()), `$TMP` for os.tmpdir(), `$PACKAGE` for the package that `cwd` lies in; in other places, and in
 * policies that did not go through here, they are refused.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_POLICY` with `problems`; `ERR_HOLDFAST_INVALID_OPTION`.
 */
export function definePolicy(policy: Policy, options?: DefinePolicyOptions): Policy;
export function definePolicy(policy: unknown, options: unknown = {}): unknown {
  const folders = checkFolders(options, 'definePolicy');
  if (!isData(policy) || isWhole(policy)) {
    const name = typeof policy === 'string' ? `: write { extends: ${shown(policy)} }` : '';
    throw policyError(
      [problem('', `policy: ${shown(policy)} must be an object with a policy's fields${name}`)],
      'policy',
    );
  }
  const found: Found[] = [];
  const made = expanded(policy, new Variables(folders), () => folders.cwd, found);
  const all = mistakes(made, folders.cwd ?? process.cwd(), found);
  if (all.length > 0) {
    const problems = all.map(({ keys, text }) => {
      const field = fieldOf(keys);
      return problem(field, `policy${field && !field.startsWith('[') ? '.' : ''}${field}${text}`);
    });
    throw policyError(problems, 'policy');
  }
  return frozen(made);
}
