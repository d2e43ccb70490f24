import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as v from 'valibot';
import type { HoldfastError } from '../errors.ts';
import { AddressProblem, type AddressRule, notUtf8, parseAddress } from './addresses.ts';
import { defaultRules } from './baseline.ts';
import { fieldName, InheritedField, ownFields, problemOf, record, shortOrLong, shown, words } from './check.ts';
import {
  type ExecEntry,
  type ExecPolicy,
  type ExecRule,
  execRule,
  MOST_UNDER,
  patternNames,
  type Refuse,
  type Under,
  type UnderRule,
  Unders,
} from './exec.ts';
import { execFields, execSchema, under } from './exec-schema.ts';
import { namedPolicies, type PolicyName } from './named.ts';
import { didYouMean } from './nearest.ts';
import { isPattern, type Names, PatternProblem, ruleNamesOf } from './pattern.ts';
import { presetAt, tooWide } from './presets/places.ts';
import { invalidPolicy } from './problems.ts';
import {
  type CallRule,
  callRules,
  problemText,
  type SyscallPolicy,
  SyscallProblem,
  syscallFields,
} from './syscalls.ts';
import { unexpanded } from './variables.ts';

/**
 * What a file rule can be about. `read` covers listing, `write` creating, removing, renaming and attributes, `metadata`
 * looking at names, attributes and links.
 */
export type FileAccess = 'read' | 'write' | 'exec' | 'metadata';
/** What an address rule can be about. `connect` covers sending to an address. */
export type NetworkOperation = 'connect' | 'bind';

/** A `deny` rule for some kinds of access only. */
export interface FileDenial {
  /** An absolute path, a path relative to the `cwd` option, or a `file:` URL. It stands for itself and all below it. */
  path: string | URL;
  /** Default: all. */
  access?: readonly FileAccess[];
  /** Only to callers that have executed such a program, or descend from one that has. */
  under?: Under;
  /**
   * The rule is only tried: what it would refuse is let by, if the other rules do so, and told as a `violation` with `dry`. Not together with
   * `under`. Default: false.
   */
  dry?: boolean;
}

/** A `deny` rule for some kinds of operation only. */
export interface NetworkDenial {
  /** As in {@link Policy.network}. */
  address: string;
  /** Default: all. */
  operations?: readonly NetworkOperation[];
}

/** Parts of the defaults that can be left out. */
export interface PolicyDefaults {
  /** A process's own entries in `/proc` (`/proc/self`, `/proc/thread-self`, `/proc/mounts`). Default: true. */
  proc?: boolean;
  /** Reading the working directory, unless that is `/`. Default: true. */
  cwd?: boolean;
}

/**
 * What a command and all its descendants may do. Plain data: what is not allowed here is refused, unless a hook allows it.
 *
 * A path stands for itself and everything below it. Where rules contradict each other the deepest one wins, so a `deny`
 * inside an allowed folder holds, and so does an allowed folder inside a denied one; at the same path `deny` wins.
 */
export interface Policy {
  /** Says to editors what may stand here, in a file: `./node_modules/holdfast/dist/policy.schema.json`. It means nothing else. */
  $schema?: string;
  /**
   * What it starts from: a policy's name, a policy, or several. Their rules and its own add up, and are weighed against each
   * other as if they stood in one: the deepest wins, at the same place `deny`. What one of them forbids as a whole (`exec`
   * with a list, `written`, `writableMappings`, `syscalls.only`) no other gives back.
   */
  extends?: PolicyName | Policy | CompiledPolicy | readonly (PolicyName | Policy | CompiledPolicy)[];
  /** Files, folders and what else has a path. A path stands for itself and all below it. */
  files?: {
    /** May be read, listed and looked at. */
    read?: readonly (string | URL)[];
    /** May be changed, created, removed and renamed, and have their attributes set. Does not include reading. */
    write?: readonly (string | URL)[];
    /**
     * May be looked at (stat, access, readlink, statfs, chdir), besides what may be read, written or executed. What is in
     * a file, a listing and the values of extended attributes are reading. With `['/']` such calls are not held at all,
     * which is most of what confinement costs in programs that walk folders; docs/api.md says what it reveals.
     */
    metadata?: readonly (string | URL)[];
    /**
     * What reading or looking at what is there but not granted answers. `'ENOENT'`: as if it were not there, which
     * programs take better that look for files they can do without (`~/.gitconfig`). Default: `'EACCES'`.
     */
    ungranted?: 'EACCES' | 'ENOENT';
    /**
     * As if it were not there: denied in every way with `ENOENT`, whatever else allows it, and left out where the folder that
     * it stands in is listed. For programs that do well without a file and die when it is refused.
     */
    hide?: readonly (string | URL)[];
    /** Refused before any hook is asked. A plain path denies reading, writing, executing and looking at. */
    deny?: readonly (string | URL | FileDenial)[];
  };
  /**
   * Addresses as text: `127.0.0.1:4873`, `10.0.0.0/8`, `[::1]:80`, `127.0.0.1:3000-3999`, `*:443`, `unix:/run/x.sock`
   * (with all below it), `unix:@abstract`. Names are not resolved.
   */
  network?: {
    /** May be connected and sent to. */
    connect?: readonly string[];
    /** May be bound and listened on. */
    bind?: readonly string[];
    /** Refused before any hook is asked, however exact an allow rule is. */
    deny?: readonly (string | NetworkDenial)[];
  };
  /**
   * Places of the sandbox's own that many programs need: an empty folder for temporary files, which `TMPDIR` names to the
   * command and which is removed when the tree is gone, and the pseudoterminals that the tree makes. Default: false.
   */
  scratch?: boolean;
  /**
   * `'report'` is no sandbox: what no rule allows is let by, and told as a `violation` with `dry`. What `deny` says is refused all the same, and so is
   * what is never allowed, what a hook refuses, `syscalls` and limits. For finding out what a policy lacks. It counts in the policy itself only, never in
   * one that is extended. Default: `'enforce'`.
   */
  mode?: 'enforce' | 'report';
  /**
   * A private folder for temporary files, by the names that programs have in themselves: `TMPDIR` names it, and `/tmp` and
   * `/dev/shm` lead there, but for what rules name in those. Removed when the tree is gone. Default: false.
   */
  tmp?: boolean;
  /**
   * What may be executed. Without it, whatever may be read may be executed. A path, with all below it, or a pattern with
   * arguments and descent; entries add up. `{ allow, deny, … }` says it at length.
   */
  exec?: readonly (string | URL | ExecEntry)[] | ExecPolicy;
  /** Raw system calls that are refused, by name or number and by their arguments. Only ever narrower than the rest. */
  syscalls?: SyscallPolicy;
  /**
   * Whether a program may read what it needs to start (system libraries, `/dev/null`, …) and its working directory, unless
   * that is `/`. Default: true. `{ proc: false }` leaves out a process's own entries in `/proc`, which only a held call
   * can tell from other processes'.
   */
  defaults?: boolean | PolicyDefaults;
}

/** Access bits of rules, as native/protocol/protocol.h has them. */
export const accessBits: Readonly<Record<FileAccess, number>> = { read: 1, write: 2, exec: 4, metadata: 8 };
export const operationBits: Readonly<Record<NetworkOperation, number>> = { connect: 1, bind: 2 };

export interface FileRule {
  effect: 'allow' | 'deny';
  access: number;
  path: string;
  /** For the names below `path` that it matches, and not for `path` itself. */
  pattern?: string;
  label: string;
  /** A denial of everything, by which it is as if it were not there. */
  hidden?: true;
  /** Only if the path is this character device (st_rdev). */
  device?: number;
  /** Nothing in it is executed, so the second wall need not know of it. */
  data?: true;
  named?: true;
  /** It is only tried. */
  dry?: true;
}
export type NetworkRule = AddressRule & {
  effect: 'allow' | 'deny';
  operations: number;
  label: string;
  named?: true;
};

/**
 * What a policy says by itself, wherever it is used. `named` rules are of a policy with a name, which is for many machines and programs: that
 * one can do nothing, or did nothing, is nobody's mistake.
 */
export interface PolicyRules {
  files: FileRule[];
  network: NetworkRule[];
  /** On raw system calls. */
  calls: CallRule[];
  /** Whatever may be read may be executed. */
  anyExec: boolean;
  /** `exec` stands there at length, so that what it allows is its `allow`. */
  execAtLength: boolean;
  /** Rules by arguments and descent. */
  exec: ExecRule[];
  /** Whom those speak of. */
  unders: readonly UnderRule[];
  /** What the tree has written may be executed. */
  written: boolean;
  /** Memory may be writable and executable. */
  writableMappings: boolean;
  /** A temporary folder is to be made, and terminals that the tree makes are its own. */
  scratch: boolean;
  /** A temporary folder is to be made, to which the usual names lead. */
  tmp: boolean;
  /** What is answered for what is there but not granted. */
  ungranted: 'EACCES' | 'ENOENT';
  /** What no rule allows is told and let by. */
  letsBy: boolean;
  /** Nothing but what seccomp's strict mode lets by, from the command's own main on. */
  strict: boolean;
}

/** A policy made ready for the supervisor of one command. */
export interface Rules extends PolicyRules {
  /** What a program needs to start; always the same list, or an empty one. */
  defaults: readonly FileRule[];
  /** The policy whose own rules stand first in `files`, and are all of `network`, if it was compiled before. */
  compiled?: CompiledPolicy;
  /** Folders in place of which the tree finds others; known when those are made. */
  leads?: readonly { from: string; to: string }[];
}

/** With what of the defaults it has. */
type OwnRules = PolicyRules & {
  defaults: Policy['defaults'] & {};
  /** The name of a policy that it starts from and that gives the working directory. */
  ofFolder: string | undefined;
};

const compiledMark: unique symbol = Symbol.for('holdfast.compiledPolicy') as never;

/** A policy that has been checked, for any number of commands. Made by `compilePolicy`; it does not change any more. */
export class CompiledPolicy {
  readonly #rules: OwnRules;
  /** @internal For other copies of this module, which cannot read it. */
  readonly [compiledMark] = true;

  /** @internal Use `compilePolicy`. */
  constructor(policy: unknown, cwd: string) {
    this.#rules = narrow(policyRules(policy, cwd), cwd);
  }

  /** @internal */
  static rules(policy: CompiledPolicy): Readonly<OwnRules> {
    return policy.#rules;
  }

  /** @internal Whether it is one, and not only made from its class. */
  static is(value: unknown): value is CompiledPolicy {
    return typeof value === 'object' && value !== null && #rules in value;
  }
}

const path = v.custom<string | URL>(
  (value) => typeof value === 'string' || value instanceof URL,
  'must be a path: a string or a file: URL',
);
const pathDenial = v.custom<never>(
  (value) => typeof value === 'string' || value instanceof URL,
  "must be a path, or { path, access?: ('read' | 'write' | 'exec' | 'metadata')[] }",
);
const address = v.string('must be an address');
const addressDenial = v.string("must be an address, or { address, operations?: ('connect' | 'bind')[] }");
const paths = v.optional(v.array(path, 'must be a list of paths'));
const addresses = v.optional(v.array(address, 'must be a list of addresses'));

const schema = record(
  {
    files: v.optional(
      record(
        {
          read: paths,
          write: paths,
          metadata: paths,
          hide: paths,
          ungranted: v.optional(v.picklist(['EACCES', 'ENOENT'], "must be 'EACCES' or 'ENOENT'")),
          deny: v.optional(
            v.array(
              shortOrLong(
                pathDenial,
                record(
                  {
                    path,
                    access: v.optional(words(['read', 'write', 'exec', 'metadata'])),
                    under,
                    dry: v.optional(v.boolean('must be true or false')),
                  },
                  'must have a path',
                ),
              ),
              'must be a list of paths',
            ),
          ),
        },
        'must be an object with read, write, metadata, deny, hide, ungranted',
      ),
    ),
    network: v.optional(
      record(
        {
          connect: addresses,
          bind: addresses,
          deny: v.optional(
            v.array(
              shortOrLong(
                addressDenial,
                record({ address, operations: v.optional(words(['connect', 'bind'])) }, 'must have an address'),
              ),
              'must be a list of addresses',
            ),
          ),
        },
        'must be an object with connect, bind, deny',
      ),
    ),
    exec: execSchema,
    scratch: v.optional(v.boolean('must be true or false')),
    mode: v.optional(v.picklist(['enforce', 'report'], "must be 'enforce' or 'report'")),
    tmp: v.optional(v.boolean('must be true or false')),
    $schema: v.optional(v.string('must be the address of a JSON Schema')),
    syscalls: v.optional(v.unknown()),
    extends: v.optional(v.unknown()),
    defaults: v.optional(
      shortOrLong(
        v.custom<never>((value) => typeof value === 'boolean', 'must be true, false or { proc: false, cwd: false }'),
        record(
          { proc: v.optional(v.boolean('must be true or false')), cwd: v.optional(v.boolean('must be true or false')) },
          'must be true, false or { proc: false, cwd: false }',
        ),
      ),
    ),
  },
  'must be an object with extends, files, network, exec, syscalls, scratch, tmp, mode, defaults',
);

/** @internal Its own type would have every user's compiler look for valibot, which is bundled. */
export const policySchema: unknown = schema;

/** The fields of a policy, by where they stand; `*` is any place of a list. */
const fields: Readonly<Record<string, readonly string[]>> = {
  '': ['extends', 'files', 'network', 'exec', 'syscalls', 'scratch', 'tmp', 'mode', 'defaults'],
  files: ['read', 'write', 'metadata', 'deny', 'hide', 'ungranted'],
  defaults: ['proc', 'cwd'],
  network: ['connect', 'bind', 'deny'],
  ...execFields,
  'files.deny.*': ['path', 'access', 'under', 'dry'],
  'network.deny.*': ['address', 'operations'],
};
const fieldNames = new Set([...Object.values(fields).flat(), ...syscallFields]);

function invalid(field: string, value: unknown, problem: string): HoldfastError {
  return invalidPolicy(field, `: ${shown(value)} ${problem}`);
}

/** Absolute, its own normal form, and without anything that could be meant otherwise. */
const plain = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.@%+,:=#-]+)+$/;

/** What would be meant otherwise than it is understood. */
function checkMeaning(text: string, field: string): void {
  const really = 'a name that really is so can be given as a file: URL';
  if (text !== text.trim() && text.trim() !== '') {
    throw invalid(field, text, `begins or ends with blanks: leave them out (${really})`);
  }
  // Not Foo$Bar.class: there it stands between letters.
  if (/(?<!\\)\$[({]|(?<![\w\\])\$[A-Za-z_]\w*/.test(text)) {
    throw invalid(field, text, `has a variable in it, ${unexpanded(text)} (${really})`);
  }
  if (/^~[^/]+(\/|$)/.test(text)) {
    throw invalid(field, text, `starts with ~ and a name, which only shells expand (${really})`);
  }
}

const isPatternText = (value: string | URL): value is string =>
  typeof value === 'string' && !/^file:/i.test(value) && isPattern(value);

/** What a rule speaks of, by a path or a pattern. */
function ruleNames(value: string | URL, field: string, cwd: string, allows: boolean): (Names & { path: string })[] {
  if (!isPatternText(value)) return [{ path: resolvePath(value, field, cwd) }];
  checkMeaning(value, field);
  try {
    return ruleNamesOf(value, cwd, allows);
  } catch (error) {
    if (error instanceof PatternProblem) throw invalid(field, value, error.message);
    throw error;
  }
}

function resolvePath(value: string | URL, field: string, cwd: string): string {
  // Most paths of large policies.
  if (typeof value === 'string' && value.length <= 4095 && plain.test(value)) return value;
  let text: string;
  if (value instanceof URL || /^file:/i.test(value)) {
    try {
      text = fileURLToPath(value);
    } catch {
      throw invalid(field, value instanceof URL ? value.href : value, 'is not a file: URL of this machine');
    }
  } else {
    text = value;
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) throw invalid(field, text, 'is not a file: URL of this machine');
    checkMeaning(text, field);
  }
  if (text === '') throw invalid(field, text, 'is empty: write "." for the working directory');
  if (text.includes('\0')) throw invalid(field, text, 'contains a NUL byte');
  if (notUtf8(text)) throw invalid(field, text, 'cannot be written as UTF-8');
  // `..` after a symbolic link leaves the link's target, which only those can know who follow it.
  const upwards = text.split('/').includes('..');
  const absolute = upwards ? (isAbsolute(text) ? text : `${cwd}/${text}`) : resolve(cwd, text);
  if (Buffer.byteLength(absolute) > 4095) throw invalid(field, text, 'is longer than a path may be (4095 bytes)');
  return absolute;
}

/** The maker of pseudoterminals, if it is that: 5, 2 (pts(4)). */
const scratchTerminals: FileRule = {
  effect: 'allow',
  access: accessBits.read | accessBits.write,
  path: '/dev/ptmx',
  label: 'scratch',
  device: 0x502,
};

/** Has no fields, not even inherited ones. */
const nothing: Readonly<Record<string, never>> = Object.freeze(Object.create(null));

interface PathRules {
  files: FileRule[];
  exec: ExecRule[];
  unders: readonly UnderRule[];
}

function isEntry(value: string | URL | object): value is ExecEntry {
  return typeof value === 'object' && !(value instanceof URL);
}

const refusing =
  (label: string): Refuse =>
  (part, value, problem) => {
    throw invalid(`policy.${label}${part}`, value, problem);
  };

/** The long form of a policy's `exec`, and where its fields are found. */
function execPolicy(policy: Policy): { exec: ExecPolicy; allow: string } {
  const { exec } = policy;
  if (Array.isArray(exec)) return { exec: { ...nothing, allow: exec as ExecPolicy['allow'] & {} }, allow: 'exec' };
  return { exec: (exec ?? nothing) as ExecPolicy, allow: 'exec.allow' };
}

function fileRules(policy: Policy, cwd: string, prefix: string): PathRules {
  const rules: FileRule[] = [];
  const by: ExecRule[] = [];
  const unders = new Unders(0);
  const add = (
    effect: FileRule['effect'],
    access: number,
    value: string | URL,
    label: string,
    field = label,
    dry = false,
  ) => {
    for (const names of ruleNames(value, `policy.${field}`, cwd, effect === 'allow'))
      rules.push({ effect, access, ...names, label, ...(dry && { dry }) });
  };
  const { read = [], write = [], metadata = [], deny = [], hide = [] } = policy.files ?? nothing;
  for (const [i, value] of read.entries()) add('allow', accessBits.read, value, `${prefix}files.read[${i}]`);
  for (const [i, value] of write.entries()) add('allow', accessBits.write, value, `${prefix}files.write[${i}]`);
  for (const [i, value] of metadata.entries())
    add('allow', accessBits.metadata, value, `${prefix}files.metadata[${i}]`);
  const { exec, allow } = execPolicy(policy);
  const programs = (effect: FileRule['effect'], list: ExecPolicy['allow'], where: string) => {
    for (const [i, value] of (list ?? []).entries()) {
      const label = `${where}[${i}]`;
      if (isEntry(value)) {
        by.push(execRule(value, effect, accessBits.exec, label, cwd, unders, refusing(label)));
        continue;
      }
      const refuse: Refuse = (_, wrong, problem) => refusing(label)('', wrong, problem);
      if (isPatternText(value) && patternNames(value, cwd, refuse, '').some(({ pattern }) => pattern !== undefined)) {
        checkMeaning(value, `policy.${label}`);
        by.push(execRule({ path: value }, effect, accessBits.exec, label, cwd, unders, refuse));
        continue;
      }
      add(effect, accessBits.exec, value, label);
      // In PATH nobody looks it up: it would be a file of the working directory.
      if (typeof value === 'string' && /^[^/.][^/:]*$/.test(value)) {
        throw invalid(
          `policy.${label}`,
          value,
          `is a bare name, and PATH is not searched: use an absolute path or ./${value}`,
        );
      }
    }
  };
  programs('allow', exec.allow, `${prefix}${allow}`);
  programs('deny', exec.deny, `${prefix}exec.deny`);
  const all = accessBits.read | accessBits.write | accessBits.exec | accessBits.metadata;
  for (const [i, value] of hide.entries()) {
    const label = `${prefix}files.hide[${i}]`;
    for (const names of ruleNames(value, `policy.${label}`, cwd, false)) {
      if (names.pattern === undefined && /^\/+$/.test(names.path))
        throw invalid(`policy.${label}`, value, 'is all there is, which cannot be hidden');
      rules.push({ effect: 'deny', access: all, ...names, label, hidden: true });
    }
  }
  for (const [i, value] of deny.entries()) {
    const label = `${prefix}files.deny[${i}]`;
    if (typeof value === 'string' || value instanceof URL) {
      add('deny', all, value, label);
      continue;
    }
    const access = value.access?.reduce((bits, name) => bits | accessBits[name], 0) ?? all;
    if (value.dry === true && value.under !== undefined)
      throw invalid(`policy.${label}.dry`, true, 'is refused together with under: leave one of them out');
    if (value.under === undefined) add('deny', access, value.path, label, `${label}.path`, value.dry);
    else {
      const names = ruleNames(value.path, `policy.${label}.path`, cwd, false);
      const path = pathToFileURL('/');
      // Executing is judged with the rest.
      const rule = execRule({ path, under: value.under }, 'deny', access, label, cwd, unders, refusing(label));
      by.push({ ...rule, names });
    }
  }
  return { files: rules, exec: by, unders: unders.rules };
}

function networkRules(policy: Policy, prefix: string): NetworkRule[] {
  const rules: NetworkRule[] = [];
  const add = (effect: NetworkRule['effect'], operations: number, address: string, label: string, field = label) => {
    try {
      for (const rule of parseAddress(address, (operations & operationBits.bind) !== 0))
        rules.push({ ...rule, effect, operations, label });
    } catch (error) {
      if (error instanceof AddressProblem) throw invalid(`policy.${field}`, address, `is refused: ${error.message}`);
      throw error;
    }
  };
  const { connect = [], bind = [], deny = [] } = policy.network ?? nothing;
  for (const [i, address] of connect.entries())
    add('allow', operationBits.connect, address, `${prefix}network.connect[${i}]`);
  for (const [i, address] of bind.entries()) add('allow', operationBits.bind, address, `${prefix}network.bind[${i}]`);
  const all: readonly NetworkOperation[] = ['connect', 'bind'];
  for (const [i, value] of deny.entries()) {
    const label = `${prefix}network.deny[${i}]`;
    if (typeof value === 'string') add('deny', 3, value, label);
    else
      add(
        'deny',
        (value.operations ?? all).reduce((bits, name) => bits | operationBits[name], 0),
        value.address,
        label,
        `${label}.address`,
      );
  }
  return rules;
}

function syscallRules(policy: Policy, prefix: string): CallRule[] {
  try {
    return callRules(policy.syscalls).map((rule) => ({ ...rule, label: `${prefix}${rule.label}` }));
  } catch (error) {
    if (!(error instanceof SyscallProblem)) throw error;
    throw invalidPolicy(`policy.${prefix}${error.field}`, `: ${problemText(error)}`);
  }
}

/** The policy's own fields, checked. */
function check(given: unknown, prefix: string): Policy {
  const root = `policy.${prefix}`.slice(0, -1);
  // Without fields of its own it would pass for a policy that is empty.
  if (typeof given === 'object' && given !== null && compiledMark in given) {
    throw invalid(root, given, 'was compiled by another copy of holdfast');
  }
  let policy: unknown;
  try {
    policy = ownFields(given, fieldNames, [], (value) => CompiledPolicy.is(value));
  } catch (error) {
    if (!(error instanceof InheritedField)) throw error;
    throw invalidPolicy(fieldName(root, error.keys), ` ${error.message}`);
  }
  const problem = problemOf(schema, policy);
  if (problem === undefined) return policy as Policy;
  const field = fieldName(root, problem.keys);
  if (problem.unknown) {
    const place = problem.keys
      .slice(0, -1)
      .map((key) => (typeof key === 'number' ? '*' : String(key)))
      .join('.');
    const known = fields[place] ?? [];
    const meant = didYouMean(problem.keys.at(-1), known);
    throw invalid(field, problem.value, `is not a field of a policy: here it has ${known.join(', ')}${meant}`);
  }
  throw invalid(field, problem.value, `is refused: ${problem.message}`);
}

const noRules: readonly FileRule[] = [];

/** What the supervisor takes is 64 MiB (native/supervisor/control.cc: kMostConfig); the rest is for the options. */
const MAX_BYTES = 63 << 20;
/** So many rules cannot be too large, and need no counting: each has two texts of a path's length at most. */
const FEW = 4096;

/** What the rules take when they are encoded, rounded up. */
function mostBytes({ files, network, exec, unders }: PolicyRules): number {
  const frame = 160;
  let bytes = network.length * frame;
  for (const { path, pattern = '', label } of files)
    bytes += frame / 2 + Buffer.byteLength(path) + Buffer.byteLength(pattern) + label.length;
  for (const rule of network) bytes += rule.label.length + (rule.kind === 'unix' ? Buffer.byteLength(rule.name) : 0);
  const long = Buffer.byteLength(JSON.stringify([exec, unders]));
  return bytes + 4 * long;
}

function policyRules(given: unknown, cwd: string, prefix = '', depth = 0): OwnRules {
  const policy = typeof given === 'string' ? namedPolicy(given, cwd, prefix) : given;
  const checked: Policy = policy === undefined && prefix === '' ? nothing : check(policy, prefix);
  const { exec } = execPolicy(checked);
  const { files, ...paths } = fileRules(checked, cwd, prefix);
  const isNamed = typeof given === 'string';
  const own: OwnRules = {
    ...paths,
    files,
    ofFolder: isNamed && checked.files?.read !== undefined ? given : undefined,
    network: networkRules(checked, prefix),
    anyExec: exec.allow === undefined,
    execAtLength: checked.exec !== undefined && !Array.isArray(checked.exec),
    calls: syscallRules(checked, prefix),
    written: exec.written ?? true,
    writableMappings: exec.writableMappings ?? true,
    scratch: checked.scratch ?? false,
    tmp: checked.tmp ?? false,
    ungranted: checked.files?.ungranted ?? ('EACCES' as const),
    defaults: checked.defaults ?? true,
    letsBy: checked.mode === 'report',
    strict: given === 'strict',
  };
  if (own.letsBy && prefix !== '') throw invalid(`policy.${prefix}mode`, 'report', reportsNothing);
  const all = checked.extends === undefined ? own : merged(extended(checked, cwd, prefix, depth), own, checked);
  const rules = isNamed ? { ...all, ...eachRule(all, (rule) => ({ ...rule, named: true })) } : all;
  if (rules.files.length + rules.network.length + rules.exec.length > FEW && mostBytes(rules) > MAX_BYTES) {
    throw invalid('policy', policy, `is too large: its rules take more than ${MAX_BYTES >> 20} MiB`);
  }
  return rules;
}

const reportsNothing =
  'counts in the policy itself only: a policy is not to let by what another refuses because it starts from that';
const startsNothing = "leaves nothing to add to: start from 'compute', and call restrict('strict') when it is to hold";

function namedPolicy(name: string, cwd: string, prefix: string): Policy {
  if (name === 'strict' && prefix === '') return namedPolicies.compute;
  const policy = Object.hasOwn(namedPolicies, name) ? namedPolicies[name as PolicyName] : undefined;
  if (policy !== undefined) return presetAt(policy, cwd);
  const field = `policy.${prefix}`.slice(0, -1);
  if (name === 'strict') {
    throw invalid(field, name, startsNothing);
  }
  const names = [...Object.keys(namedPolicies).filter((one) => name.includes('@') || !one.includes('@')), 'strict'];
  throw invalid(field, name, `is no name of a policy. Known is ${names.join(', ')}${didYouMean(name, names)}`);
}

/** So deep may policies start from others. */
const DEEPEST = 16;

/** What a policy starts from. */
function extended(policy: Policy, cwd: string, prefix: string, depth: number): OwnRules[] {
  const given: unknown = policy.extends;
  return (Array.isArray(given) ? (given as unknown[]) : [given]).map((part, i) => {
    const label = `${prefix}extends${Array.isArray(given) ? `[${i}]` : ''}.`;
    if (depth === DEEPEST) throw invalid(`policy.${label}`.slice(0, -1), part, 'is one too deep: 16 are possible');
    if (CompiledPolicy.is(part) && CompiledPolicy.rules(part).letsBy)
      throw invalid(`policy.${label}mode`, 'report', reportsNothing);
    if (CompiledPolicy.is(part) && CompiledPolicy.rules(part).strict)
      throw invalid(`policy.${label}`.slice(0, -1), 'strict', startsNothing);
    return CompiledPolicy.is(part)
      ? relabelled(CompiledPolicy.rules(part), label)
      : policyRules(part, cwd, label, depth + 1);
  });
}

function eachRule(
  { files, network, exec, calls }: OwnRules,
  change: <R extends { label: string; named?: true }>(rule: R) => R,
): Pick<OwnRules, 'files' | 'network' | 'exec' | 'calls'> {
  return { files: files.map(change), network: network.map(change), exec: exec.map(change), calls: calls.map(change) };
}

const relabelled = (rules: OwnRules, prefix: string): OwnRules => ({
  ...rules,
  ...eachRule(rules, (rule) => ({ ...rule, label: `${prefix}${rule.label}` })),
});

/** All of them as one. */
function merged(parts: readonly OwnRules[], own: OwnRules, policy: Policy): OwnRules {
  const all = [...parts, own];
  const exec: ExecRule[] = [];
  const unders: UnderRule[] = [];
  for (const part of all) {
    const first = unders.length;
    for (const rule of part.exec) exec.push(rule.under === undefined ? rule : { ...rule, under: first + rule.under });
    for (const rule of part.unders) unders.push({ ...rule, number: first + rule.number });
  }
  if (unders.length > MOST_UNDER) {
    throw invalid('policy.extends', policy.extends, `has too many different \`under\`: ${MOST_UNDER} are possible`);
  }
  const given = all.find(({ defaults }) => defaults !== true)?.defaults;
  return {
    files: all.flatMap(({ files }) => files),
    network: all.flatMap(({ network }) => network),
    calls: all.flatMap(({ calls }) => calls),
    exec,
    unders,
    anyExec: all.every(({ anyExec }) => anyExec),
    execAtLength: own.execAtLength,
    written: all.every(({ written }) => written),
    writableMappings: all.every(({ writableMappings }) => writableMappings),
    scratch: all.some(({ scratch }) => scratch),
    tmp: all.some(({ tmp }) => tmp),
    ungranted: policy.files?.ungranted ?? (all.some(({ ungranted }) => ungranted === 'ENOENT') ? 'ENOENT' : 'EACCES'),
    defaults: policy.defaults ?? given ?? true,
    letsBy: policy.mode === 'report',
    strict: false,
    ofFolder: all.find(({ ofFolder }) => ofFolder !== undefined)?.ofFolder,
  };
}

/** A name says nothing of a folder that is a whole home or machine. */
function narrow(rules: OwnRules, cwd: string): OwnRules {
  const wide = rules.ofFolder === undefined ? undefined : tooWide(cwd);
  if (wide === undefined) return rules;
  const problem = `gives the working directory, which is ${wide}: choose a folder of the project (\`cwd\`)`;
  throw invalid('policy', rules.ofFolder, problem);
}

/** Throws what {@link makeRules} would, whatever of it depends on the spawn. */
export function checkPolicy(policy: unknown, cwd: string): void {
  policyRules(policy, cwd);
}

/**
 * Checks a policy and makes it ready. Without one, and with its `defaults`: what a program needs to start, and reading
 * the working directory unless that is `/`.
 * @param policy A policy, or a compiled one: then its relative paths have been understood already.
 * @param terminal Whether the command is given its terminal: then the defaults have it by name, too.
 * Throws `ERR_HOLDFAST_INVALID_POLICY`, naming the field and the value.
 */
export function makeRules(policy: unknown, cwd: string, terminal = false): Rules {
  const compiled = CompiledPolicy.is(policy) ? policy : undefined;
  const {
    defaults,
    ofFolder: _,
    ...own
  } = compiled === undefined ? narrow(policyRules(policy, cwd), cwd) : CompiledPolicy.rules(compiled);
  const files = compiled === undefined ? own.files : [...own.files];
  // Where nobody chose a working directory it is mostly `/`, and reading that would be reading everything.
  if (defaults !== false && (defaults === true || (defaults.cwd ?? true)) && cwd !== '/')
    files.push({ effect: 'allow', access: accessBits.read, path: cwd, label: 'defaults' });
  if (own.scratch) files.push(scratchTerminals);
  const rules: Rules = {
    ...own,
    files,
    defaults: defaults === false ? noRules : defaultRules(terminal, defaults === true || (defaults.proc ?? true)),
  };
  if (compiled !== undefined) rules.compiled = compiled;
  return rules;
}
