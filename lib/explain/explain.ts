// What a policy says of a call that nobody makes: asked of the supervisor's own decision, in a process of its own.
import * as childProcess from 'node:child_process';
import { realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errnoName, HoldfastError } from '../errors.ts';
import { FieldWriter } from '../native/fields.ts';
import { type Native, type NativeRecord, native, supervisorPath } from '../native/native.ts';
import { nested, number, optionalNumber, optionalText, text } from '../native/records.ts';
import { AddressProblem, type AddressRule, parseAddress } from '../policy/addresses.ts';
import { shown } from '../policy/check.ts';
import { encodeConfiguration } from '../policy/encode.ts';
import type { PolicyName } from '../policy/named.ts';
import { didYouMean } from '../policy/nearest.ts';
import {
  accessBits,
  type CompiledPolicy,
  type FileAccess,
  makeRules,
  type NetworkOperation,
  operationBits,
  type Policy,
  type Rules,
} from '../policy/policy.ts';
import { giveScratch } from '../process/scratch.ts';
import { type ExecField, type Suggestion, suggestionFor, visible } from '../process/violation.ts';

/** As it was: not one that a sandbox was put in place of (sandboxedChildProcess). */
const { spawnSync } = childProcess;

/** What is asked about: one thing, and what is wanted of it. */
export type ExplainQuestion = (
  | {
      /** A path, absolute or relative to `cwd`, or a `file:` URL. Symbolic links are followed. */
      path: string | URL;
      /** Default: `'read'`. Writing where nothing is means making it. */
      access?: FileAccess;
    }
  | {
      /** A program's path. As `path` with the access `'exec'`; what interprets it is asked about by itself. */
      exec: string | URL;
      /** Its arguments, argv[0] first. Without them rules on arguments are taken as for who only asks (access(2)). */
      argv?: readonly string[];
    }
  | {
      /** One address and its port, or a unix socket: `127.0.0.1:80`, `[::1]:80`, `unix:/run/x.sock`, `unix:@name`. */
      address: string;
      /** Default: `'connect'`, which is sending, too. */
      access?: NetworkOperation;
    }
) & {
  /** Where relative paths begin, of the policy and of the question; it may be read by default. Default: the working directory. */
  cwd?: string;
  /** Programs that the caller has executed, or who it descends from: absolute paths. Default: none. */
  under?: readonly string[];
};

/** A rule that speaks of what is asked about. */
export interface ConsideredRule {
  /** The policy's field, such as `files.read[1]`; `defaults` for what a program needs to start. */
  readonly rule: string;
  readonly effect: 'allow' | 'deny';
  /** Where its path leads; missing for rules on addresses, and patterns. */
  readonly path?: string;
  /** It is only tried. */
  readonly dry?: true;
}

/** What a policy says of a call, hooks aside. */
export interface Explanation {
  readonly allowed: boolean;
  /** The right that was asked for; where it is refused, the one that is missing. */
  readonly access: FileAccess | NetworkOperation;
  /**
   * The canonical path: what rules are asked about. What leads into the private folder of `tmp: true` is named as it is there, in a
   * `holdfast-XXXXXX` that each start makes anew.
   */
  readonly path?: string;
  /** The address, and its port. */
  readonly address?: string;
  readonly port?: number;
  /** Whether something is there now, at the path. Missing in the private folder of `tmp: true`: the program has made it, or it has not. */
  readonly exists?: boolean;
  /** The policy's field that decides. Missing where nothing allows it. */
  readonly rule?: string;
  /** What the program would see, by name; with `dry` what it would see else. */
  readonly errno?: string;
  /**
   * It is allowed because nothing is enforced here: the policy's `mode` is `'report'`, or the `rule` is dry. `errno`, `access`, `reason` and
   * `suggestion` say what would be refused else, as of a {@link Violation} with `dry`.
   */
  readonly dry?: true;
  /** Whether it would be told as a violation: not where nothing is there that a program could have found. */
  readonly reported?: boolean;
  readonly reason?: string;
  /** What one would add to the policy to allow it, as {@link Violation.suggestion}. */
  readonly suggestion?: Suggestion;
  /** All of it in one line, to print. */
  readonly message: string;
  /** The rules that speak of it: of a path the deepest last; of an address in the order in which they are asked, `deny` first. */
  readonly considered: readonly ConsideredRule[];
}

function invalid(field: string, value: unknown, problem: string): HoldfastError {
  return new HoldfastError('ERR_HOLDFAST_INVALID_OPTION', `question.${field}: ${shown(value)} ${problem}`);
}

const fields = ['path', 'exec', 'address', 'access', 'argv', 'cwd', 'under'];
const subjects = ['path', 'exec', 'address'] as const;
const fileAccesses = Object.keys(accessBits) as FileAccess[];
const networkOperations = Object.keys(operationBits) as NetworkOperation[];

interface Checked {
  subject: (typeof subjects)[number];
  access: FileAccess | NetworkOperation;
  /** Absolute. */
  path?: string;
  address?: AddressRule;
  argv?: readonly string[];
  cwd: string;
  under: readonly string[];
}

function texts(value: unknown, field: string): readonly string[] {
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string' && !one.includes('\0')))
    throw invalid(field, value, 'must be a list of strings without NUL bytes');
  return value as string[];
}

function pathOf(value: unknown, field: string, cwd: string): string {
  let path: string;
  try {
    path = value instanceof URL || /^file:/i.test(String(value)) ? fileURLToPath(value as string | URL) : String(value);
  } catch {
    throw invalid(field, value, 'is not a file: URL of this machine');
  }
  if (typeof value !== 'string' && !(value instanceof URL)) throw invalid(field, value, 'must be a path');
  if (path === '' || path.includes('\0')) throw invalid(field, value, 'must be a path');
  // `..` after a symbolic link leaves the link's target: who follows it knows.
  if (path.split('/').includes('..')) return isAbsolute(path) ? path : `${cwd}/${path}`;
  return resolve(cwd, path);
}

function isOne(rule: AddressRule): boolean {
  if (rule.kind === 'unix') return !(rule.name.startsWith('@') && rule.name.endsWith('*'));
  return rule.prefix === rule.bytes.length * 8 && rule.portLow === rule.portHigh;
}

function addressOf(value: unknown, access: string): AddressRule {
  if (typeof value !== 'string') throw invalid('address', value, 'must be an address');
  let rules: AddressRule[];
  try {
    rules = parseAddress(value, access === 'bind');
  } catch (error) {
    if (!(error instanceof AddressProblem)) throw error;
    throw invalid('address', value, `is refused: ${error.message}`);
  }
  const [rule, ...others] = rules;
  const one = rule !== undefined && others.length === 0 && isOne(rule);
  if (!one)
    throw invalid(
      'address',
      value,
      'is not one address and port: write 127.0.0.1:80, [::1]:80, unix:/path or unix:@name',
    );
  return rule;
}

function check(given: unknown): Checked {
  if (typeof given !== 'object' || given === null)
    throw invalid('', given, 'must be { path, access }, { exec } or { address, access }');
  const question: Record<string, unknown> = { __proto__: null, ...given };
  for (const name of Object.keys(question))
    if (!fields.includes(name))
      throw invalid(name, question[name], `is not known: it has ${fields.join(', ')}${didYouMean(name, fields)}`);
  const asked = subjects.filter((name) => question[name] !== undefined);
  const [subject] = asked;
  if (subject === undefined || asked.length > 1)
    throw new HoldfastError(
      'ERR_HOLDFAST_INVALID_OPTION',
      `question: must have one of ${subjects.join(', ')}, and has ${asked.join(', ') || 'none'}`,
    );
  const { cwd: base = process.cwd(), under = [], argv } = question;
  if (typeof base !== 'string' || base === '' || base.includes('\0')) throw invalid('cwd', base, 'must be a folder');
  const cwd = resolve(base);
  const network = subject === 'address';
  const access = question.access ?? (network ? 'connect' : subject === 'exec' ? 'exec' : 'read');
  const known: readonly string[] = network ? networkOperations : subject === 'exec' ? ['exec'] : fileAccesses;
  if (typeof access !== 'string' || !known.includes(access))
    throw invalid('access', access, `must be one of ${known.map((name) => `'${name}'`).join(', ')} here`);
  if (argv !== undefined && access !== 'exec') throw invalid('argv', argv, 'says nothing but of what is executed');
  return {
    subject,
    access: access as Checked['access'],
    ...(network ? { address: addressOf(question.address, access) } : { path: pathOf(question[subject], subject, cwd) }),
    ...(argv !== undefined && { argv: texts(argv, 'argv') }),
    cwd,
    under: texts(under, 'under').map((program, i) => pathOf(program, `under[${i}]`, cwd)),
  };
}

function encodeQuestion(addon: Native, { access, path, address, argv, under }: Checked): Uint8Array {
  const writer = new FieldWriter(addon.fields);
  if (address === undefined) {
    writer.text('path', path as string).number('access', access === 'metadata' ? 0 : accessBits[access as FileAccess]);
  } else {
    writer.number('operations', operationBits[access as NetworkOperation]);
    if (address.kind === 'internet')
      writer
        .number('family', address.family === 4 ? 2 : 10)
        .bytes('bytes', address.bytes)
        .number('port', address.portLow);
    else if (address.name.startsWith('@')) writer.number('family', 1).text('address', address.name);
    else writer.text('path', address.name);
  }
  if (argv !== undefined) {
    writer.number('byArguments', 1);
    for (const one of argv.length === 0 ? [''] : argv) writer.text('argv', one);
  }
  for (const program of under) writer.text('argument', program);
  return Uint8Array.from(writer.finish());
}

/** Longer than any question takes. */
const TIMEOUT = 30_000;

/** With its size in front (native/supervisor/explain.h). */
function framed(fields: Uint8Array): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(fields.length);
  return Buffer.concat([size, fields]);
}

function ask(addon: Native, policy: Uint8Array, questions: readonly Uint8Array[]): NativeRecord[] {
  const failed = (why: string | undefined) =>
    new HoldfastError('ERR_HOLDFAST_CHANNEL', `the supervisor did not answer what a policy says: ${why}`);
  const { stdout, status, signal, error } = spawnSync(supervisorPath(), ['--explain'], {
    input: Buffer.concat([framed(addon.completePolicy(policy)), ...questions.map(framed)]),
    maxBuffer: questions.length * (4 + addon.limits.recordBytes),
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: TIMEOUT,
    killSignal: 'SIGKILL',
    env: {},
    cwd: '/',
  });
  if (error !== undefined) throw failed(error.message);
  if (status !== 0) throw failed(`it ended by ${signal ?? `exit code ${status}`}`);
  const records: NativeRecord[] = [];
  for (let at = 0; at < stdout.length; ) {
    const end = at + 4 + stdout.readUInt32LE(at);
    const record = addon.readFields(stdout.subarray(at + 4, end));
    if (record === undefined) throw failed('what it said is not valid');
    const message = optionalText(record, 'message');
    if (message !== undefined) throw failed(message);
    records.push(record);
    at = end;
  }
  if (records.length !== questions.length) throw failed('it said less than it was asked');
  return records;
}

function consideredOf(record: NativeRecord, dry: ReadonlySet<string>): ConsideredRule[] {
  return nested(record, 'considered').map((one) => {
    const path = optionalText(one, 'path');
    const effect = text(one, 'name') === 'deny' ? 'deny' : 'allow';
    const rule = text(one, 'rule');
    return { rule, effect, ...(path !== undefined && { path }), ...(dry.has(rule) && { dry: true as const }) };
  });
}

function messageOf(of: Omit<Explanation, 'message'>, asked: string | undefined): string {
  const { allowed, dry, access, path, address, port, rule, errno, reason, suggestion, considered } = of;
  const name = asked === undefined ? path : `${asked} (in the private folder of tmp)`;
  const what = `${access} ${name ?? (port === undefined ? address : `${address} port ${port}`)}`;
  const by = considered.find((one) => one.rule === rule && one.path !== undefined && one.path !== path)?.path;
  const where = by === undefined || asked !== undefined ? '' : ` (${by})`;
  if (allowed && !dry) return visible(`${what}: allowed by ${rule ?? 'what lies below it'}${where}`);
  const why = [
    rule === undefined ? undefined : `denied by ${rule}${where}${dry ? ', which is dry' : ''}`,
    reason,
    suggestion && `${suggestion.field}: ${JSON.stringify(suggestion.value)} would allow it`,
  ].filter((part) => part !== undefined);
  const end = dry ? `let by and reported (${errno} if it were enforced)` : `refused with ${errno}`;
  return visible(`${what}: ${end}: ${why.join(', ')}`);
}

function explanationOf(record: NativeRecord, asked: Checked, rules: Rules): Explanation {
  const errno = number(record, 'errno');
  const path = optionalText(record, 'path');
  const rule = optionalText(record, 'rule');
  const reason = optionalText(record, 'reason');
  const access = (optionalText(record, 'right') ?? asked.access) as Explanation['access'];
  const address = optionalText(record, 'address');
  const port = optionalNumber(record, 'port');
  // By this name it leads into the private folder.
  const led = optionalText(record, 'target');
  const dry = number(record, 'dry') === 1;
  const subject = {
    ...(path !== undefined && { path }),
    ...(address !== undefined && { address }),
    ...(port !== undefined && { port }),
  };
  const exec: ExecField = rules.execAtLength ? 'exec.allow' : 'exec';
  const suggestion = suggestionFor(record, subject, exec);
  const tried = new Set(rules.files.filter((one) => one.dry).map(({ label }) => label));
  const of: Omit<Explanation, 'message'> = {
    allowed: errno === 0 || dry,
    access: errno === 0 ? asked.access : access,
    ...subject,
    ...(path !== undefined && led === undefined && { exists: number(record, 'present') === 1 }),
    ...(rule !== undefined && { rule }),
    ...(errno !== 0 && { errno: errnoName(errno), reported: number(record, 'more') === 0 }),
    ...(dry && { dry }),
    ...(reason !== undefined && { reason }),
    ...(suggestion !== undefined && { suggestion }),
    considered: consideredOf(record, tried),
  };
  return { ...of, message: messageOf(of, led) };
}

/** The private folder of `tmp: true`, which is made when a command starts, and where names lead to it. */
function withScratch(rules: Rules): Rules {
  if (!rules.tmp) return rules;
  let folder = resolve(tmpdir());
  try {
    folder = realpathSync(folder);
  } catch {
    // Nothing starts then; what it would say of names does not depend on it.
  }
  giveScratch(rules, join(folder, 'holdfast-XXXXXX'));
  return rules;
}

/** Most questions about one policy have one working directory, and are asked at once. */
function explainAll(policy: unknown, questions: readonly unknown[]): Explanation[] {
  const asked = questions.map(check);
  const answers: Explanation[] = [];
  const addon = native();
  for (const cwd of new Set(asked.map((one) => one.cwd))) {
    const rules = withScratch(makeRules(policy, cwd));
    const here = [...asked.entries()].filter(([, one]) => one.cwd === cwd);
    const encoded = here.map(([, one]) => encodeQuestion(addon, one));
    const configuration = encodeConfiguration(addon, { waitForTree: false, rules, limits: [] });
    const records = ask(addon, configuration, encoded);
    for (const [j, [i, one]] of here.entries()) answers[i] = explanationOf(records[j] as NativeRecord, one, rules);
  }
  return answers;
}

/**
 * Which rule of a policy decides on a call, and why, without running anything: by the very code that decides when a command
 * runs. What else may keep the call from succeeding (the file's own mode, nobody who listens) is not asked about, nor are hooks, and links
 * lead to where they lead now. Of a list of questions, each is answered in its place; they cost hardly more than one.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_POLICY`, `ERR_HOLDFAST_INVALID_OPTION`, `ERR_HOLDFAST_UNSUPPORTED_PLATFORM`.
 */
export function explain(
  policy: PolicyName | Policy | CompiledPolicy | undefined,
  question: ExplainQuestion,
): Explanation;
export function explain(
  policy: PolicyName | Policy | CompiledPolicy | undefined,
  questions: readonly ExplainQuestion[],
): Explanation[];
export function explain(policy: unknown, question: unknown): Explanation | Explanation[] {
  return Array.isArray(question) ? explainAll(policy, question) : (explainAll(policy, [question])[0] as Explanation);
}
