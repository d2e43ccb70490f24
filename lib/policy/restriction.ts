// What a running tree is restricted to (`restrict()`): a policy that is put on top of what is there.
import { HoldfastError } from '../errors.ts';
import { ownFields, shown } from './check.ts';
import type { ExecPolicy } from './exec.ts';
import { isCompute } from './named.ts';
import { CompiledPolicy, makeRules, type NetworkRule, type Policy, type Rules } from './policy.ts';
import { invalidPolicy } from './problems.ts';
import { type CallRule, callActions, timeCalls } from './syscalls.ts';

/** What there is when a restriction comes. */
export interface Now {
  readonly anyExec: boolean;
  readonly hasVdso: boolean;
  /** Calls that the start's policy opened. */
  readonly opened: readonly string[];
}

/**
 * What a tree is restricted to from now on. What is not named stays as it is; a list that is named becomes all there is,
 * beside what a program needs to start. Nothing in it may be wider than what the tree may do already.
 */
export interface Restriction {
  files?: {
    /** All that may be read from now on. */
    read?: readonly (string | URL)[];
    /** All that may be written from now on. */
    write?: readonly (string | URL)[];
    /** All that may be looked at from now on, besides what may be read, written or executed. */
    metadata?: readonly (string | URL)[];
    /** Refused in any case, as in a policy. */
    deny?: NonNullable<Policy['files']>['deny'] & {};
  };
  /** `'none'`: no address of any kind, unix sockets included. Else as in a policy. */
  network?: 'none' | NonNullable<Policy['network']>;
  /**
   * All that may be executed from now on, as in a policy; but nothing in it may ask for descent (`under`) or for what was
   * written (`written: false`): that is followed from the start on, or not at all. An object without `allow` leaves what
   * may be executed as it is, but for the rest of it.
   */
  exec?: Policy['exec'] & {};
  /** Refused from now on, as in a policy, by a further seccomp program of each thread. */
  syscalls?: Policy['syscalls'] & {};
}

const everywhere = ['/'];
const everyAddress = ['*', 'unix:/', 'unix:@*'];
const fields = new Set(['files', 'network', 'exec', 'syscalls']);

const isNoTrial = 'is refused: what a restriction takes away cannot be tried';

/** What stands for "as before". */
const AS_BEFORE = 'as before';

function invalid(field: string, value: unknown, problem: string): HoldfastError {
  return invalidPolicy(field, `: ${shown(value)} ${problem}`);
}

function partial(given: unknown): Restriction {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalid(
      'policy',
      given,
      "must be an object with files, network, exec, syscalls, a compiled policy, 'compute' or 'strict'",
    );
  }
  const restriction = ownFields(given, fields) as Record<string, unknown>;
  for (const [name, value] of Object.entries(restriction)) {
    if (fields.has(name)) continue;
    throw invalid(`policy.${name}`, value, 'is not a field of a restriction: it has files, network, exec, syscalls');
  }
  return restriction as Restriction;
}

/**
 * The rules of a restriction. `anyExec`: whether the tree may execute whatever it may read. `hasVdso`: whether programs
 * that run ask the vDSO for the time.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_POLICY`.
 */
export function restrictionRules(given: unknown, cwd: string, { anyExec, hasVdso, opened }: Now): Rules {
  if (CompiledPolicy.is(given)) {
    const { letsBy, files } = CompiledPolicy.rules(given);
    const [dry] = files.filter((rule) => rule.dry);
    if (letsBy) throw invalid('policy.mode', 'report', 'is no restriction: a restriction only narrows');
    if (dry !== undefined) throw invalid(`policy.${dry.label}.dry`, true, isNoTrial);
  }
  if (CompiledPolicy.is(given) || isCompute(given)) {
    return relabelled(withoutOpened(possible(makeRules(given, cwd), hasVdso), opened), new Set());
  }
  const { files, network, exec, syscalls } = partial(given);
  const allowed = Array.isArray(exec) ? exec : (exec as ExecPolicy | undefined)?.allow;
  const none = network === 'none';
  // What is wrong with them is told before anything is put in place of what is missing.
  const named = {
    ...(files !== undefined && { files }),
    ...(network !== undefined && !none && { network }),
    ...(exec !== undefined && { exec }),
    ...(syscalls !== undefined && { syscalls }),
  };
  const gives = possible(makeRules(named, cwd), hasVdso).calls.find(isOpening);
  if (gives !== undefined)
    throw invalid(`policy.${gives.label}`, gives.call, 'is given, and a restriction only narrows');
  const dry =
    files?.deny?.findIndex((value) => typeof value === 'object' && 'dry' in value && value.dry === true) ?? -1;
  if (dry >= 0) throw invalid(`policy.files.deny[${dry}].dry`, true, isNoTrial);
  const {
    connect,
    bind,
    deny = [],
  } = network === undefined || none ? ({} as Exclude<typeof network, 'none' | undefined>) : network;
  const readsLess = files?.read !== undefined;
  const followsReading = allowed === undefined && readsLess && anyExec;
  const execLong: ExecPolicy = { ...(exec !== undefined && !Array.isArray(exec) && (exec as ExecPolicy)) };
  const policy: Policy = {
    files: {
      read: files?.read ?? everywhere,
      write: files?.write ?? everywhere,
      metadata: files?.metadata ?? everywhere,
      deny: files?.deny ?? [],
    },
    network: {
      connect: none ? [] : (connect ?? everyAddress),
      bind: none ? [] : (bind ?? everyAddress),
      deny: none ? everyAddress : deny,
    },
    exec: Array.isArray(exec) ? exec : { ...execLong, ...(!followsReading && { allow: allowed ?? everywhere }) },
    ...(syscalls && { syscalls }),
  };
  const asBefore = new Set<string>();
  if (files?.read === undefined) asBefore.add('files.read[0]');
  if (files?.write === undefined) asBefore.add('files.write[0]');
  if (files?.metadata === undefined) asBefore.add('files.metadata[0]');
  if (allowed === undefined) asBefore.add('exec.allow[0]');
  for (const [operation, list] of Object.entries({ connect, bind })) {
    if (!none && list === undefined) for (const i of everyAddress.keys()) asBefore.add(`network.${operation}[${i}]`);
  }
  // `/`: the working directory is nothing that a restriction gives by itself.
  const rules = makeRules(policy, '/');
  const own = makeRules(policy, cwd);
  rules.files = own.files.filter(({ label }) => label !== 'defaults');
  return relabelled(rules, asBefore);
}

const isOpening = ({ action }: CallRule) => action === callActions.allow;

/** A whole policy takes back what it does not open itself, whatever the arguments, and opens nothing. */
function withoutOpened(rules: Rules, opened: readonly string[]): Rules {
  const kept = new Set(
    rules.calls.filter((rule) => isOpening(rule) && rule.tests.length === 0).map(({ call }) => call),
  );
  const taken = opened.filter((call) => !kept.has(call));
  return {
    ...rules,
    calls: [
      ...rules.calls.filter((rule) => !isOpening(rule)),
      ...taken.map((call) => {
        return { call, action: callActions.errno, errno: 1, label: 'syscalls.allow', tests: new Uint8Array() };
      }),
    ],
  };
}

/** What only `syscalls.only` leaves out, and nobody has named. */
const isLeftOut = ({ label }: CallRule) => label.endsWith('syscalls.only');

/** Descent and what was written are followed from the start on, or not at all; and so is the vDSO hidden. */
function possible(rules: Rules, hasVdso: boolean): Rules {
  const descent = rules.exec.find(({ under }) => under !== undefined);
  if (descent !== undefined) {
    const problem = 'is possible from the start on only: what was executed before now is not known';
    throw invalid(`policy.${descent.label}.under`, descent.label, problem);
  }
  if (!rules.written) {
    const problem = 'is possible from the start on only: what was written before now is not known';
    throw invalid('policy.exec.written', false, problem);
  }
  const hidden = rules.files.find((rule) => rule.hidden);
  if (hidden !== undefined) {
    const problem = 'is possible from the start on only: listings are not held where nothing was hidden';
    throw invalid(`policy.${hidden.label}`, hidden.path, problem);
  }
  const time = rules.calls.find((rule) => hasVdso && timeCalls.has(rule.call) && !isLeftOut(rule));
  if (time !== undefined) {
    const problem =
      'is possible from the start on only: programs that run ask the vDSO for the time, without a system call';
    throw invalid(`policy.${time.label}`, time.call, problem);
  }
  return rules;
}

/** What a restriction has to say about itself, besides that it holds. */
export function restrictionWarning(rules: Rules, hasVdso: boolean): string | undefined {
  const silent = hasVdso && rules.calls.some((rule) => timeCalls.has(rule.call) && isLeftOut(rule));
  return silent ? 'programs that run already go on to read the time by the vDSO, which is no system call' : undefined;
}

/** So that a violation tells which policy refused. */
function relabelled(rules: Rules, asBefore: ReadonlySet<string>): Rules {
  const label = (of: string) => (asBefore.has(of) ? AS_BEFORE : `restrict.${of}`);
  const { compiled: _, ...others } = rules;
  return {
    ...others,
    files: rules.files.map((rule) => ({ ...rule, label: label(rule.label) })),
    network: rules.network.map((rule) => ({ ...rule, label: label(rule.label) })),
    calls: rules.calls.map((rule) => ({ ...rule, label: label(rule.label) })),
    exec: rules.exec.map((rule) => ({ ...rule, label: label(rule.label) })),
  };
}

const covers = (wide: NetworkRule, narrow: NetworkRule): boolean => {
  if ((wide.operations & narrow.operations) !== narrow.operations) return false;
  if (wide.kind === 'unix' || narrow.kind === 'unix') {
    if (wide.kind !== 'unix' || narrow.kind !== 'unix') return false;
    return wide.name === narrow.name || (wide.name.endsWith('*') && narrow.name.startsWith(wide.name.slice(0, -1)));
  }
  if (wide.family !== narrow.family || wide.prefix > narrow.prefix) return false;
  if (wide.portLow > narrow.portLow || wide.portHigh < narrow.portHigh) return false;
  for (let bit = 0; bit < wide.prefix; bit++) {
    const mask = 128 >> (bit & 7);
    if ((((wide.bytes[bit >> 3] ?? 0) ^ (narrow.bytes[bit >> 3] ?? 0)) & mask) !== 0) return false;
  }
  return true;
};

/**
 * Addresses that `then` allows and no rule of `now` does. Of sockets with a path the supervisor decides, as of files.
 * @throws {HoldfastError} `ERR_HOLDFAST_WIDER_POLICY`.
 */
export function refuseWiderAddresses(now: readonly NetworkRule[], then: readonly NetworkRule[]): void {
  const allowed = now.filter(({ effect }) => effect === 'allow');
  for (const rule of then) {
    if (rule.effect === 'deny' || !rule.label.startsWith('restrict.')) continue;
    if (rule.kind === 'unix' && rule.name.startsWith('/')) continue;
    if (allowed.some((one) => covers(one, rule))) continue;
    throw new HoldfastError(
      'ERR_HOLDFAST_WIDER_POLICY',
      `policy.${rule.label.slice('restrict.'.length)}: allows more than the tree may do now, and a restriction only narrows`,
    );
  }
}
