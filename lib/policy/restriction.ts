// What a running tree is restricted to (`restrict()`): a policy that is put on top of what is there.
import { HoldfastError } from '../errors.ts';
import { ownFields, shown } from './check.ts';
import { CompiledPolicy, makeRules, type NetworkRule, type Policy, type Rules } from './policy.ts';

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
  /** All that may be executed from now on. */
  exec?: readonly (string | URL)[];
}

const everywhere = ['/'];
const everyAddress = ['*', 'unix:/', 'unix:@*'];
const fields = new Set(['files', 'network', 'exec']);

/** What stands for "as before". */
const AS_BEFORE = 'as before';

function invalid(field: string, value: unknown, problem: string): HoldfastError {
  return new HoldfastError('ERR_HOLDFAST_INVALID_POLICY', `${field}: ${shown(value)} ${problem}`);
}

function partial(given: unknown): Restriction {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalid('policy', given, "must be an object with files, network, exec, a compiled policy, or 'strict'");
  }
  const restriction = ownFields(given, fields) as Record<string, unknown>;
  for (const [name, value] of Object.entries(restriction)) {
    if (fields.has(name)) continue;
    throw invalid(`policy.${name}`, value, 'is not a field of a restriction: it has files, network, exec');
  }
  return restriction as Restriction;
}

/**
 * The rules of a restriction. `anyExec`: whether the tree may execute whatever it may read.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_POLICY`.
 */
export function restrictionRules(given: unknown, cwd: string, anyExec: boolean): Rules {
  if (CompiledPolicy.is(given) && CompiledPolicy.rules(given).calls.length > 0) {
    throw invalid('policy.syscalls', given, 'is no part of a restriction: rules on system calls hold from the start');
  }
  if (CompiledPolicy.is(given)) return relabelled(plain(makeRules(given, cwd)), new Set());
  const { files, network, exec } = partial(given);
  const none = network === 'none';
  const {
    connect,
    bind,
    deny = [],
  } = network === undefined || none ? ({} as Exclude<typeof network, 'none' | undefined>) : network;
  // What is wrong with them is told before anything is put in place of what is missing.
  plain(makeRules({ ...(files && { files }), ...(network && !none && { network }), ...(exec && { exec }) }, cwd));
  const readsLess = files?.read !== undefined;
  const followsReading = exec === undefined && readsLess && anyExec;
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
    ...(!followsReading && { exec: exec ?? everywhere }),
  };
  const asBefore = new Set<string>();
  if (files?.read === undefined) asBefore.add('files.read[0]');
  if (files?.write === undefined) asBefore.add('files.write[0]');
  if (files?.metadata === undefined) asBefore.add('files.metadata[0]');
  if (exec === undefined) asBefore.add('exec[0]');
  for (const [operation, list] of Object.entries({ connect, bind })) {
    if (!none && list === undefined) for (const i of everyAddress.keys()) asBefore.add(`network.${operation}[${i}]`);
  }
  // `/`: the working directory is nothing that a restriction gives by itself.
  const rules = makeRules(policy, '/');
  const own = makeRules(policy, cwd);
  rules.files = own.files.filter(({ label }) => label !== 'defaults');
  return relabelled(rules, asBefore);
}

/** Arguments, descent and what was written are followed from the start on, or not at all. */
function plain(rules: Rules): Rules {
  const [rule] = rules.exec;
  if (rule !== undefined) {
    throw invalid(
      `policy.${rule.label}`,
      rule.argv ?? rule.label,
      'is no plain path, and a restriction takes no others',
    );
  }
  const field = !rules.written ? 'written' : !rules.writableMappings ? 'writableMappings' : undefined;
  if (field !== undefined) throw invalid(`policy.exec.${field}`, false, 'is possible from the start on only');
  return rules;
}

/** So that a violation tells which policy refused. */
function relabelled(rules: Rules, asBefore: ReadonlySet<string>): Rules {
  const label = (of: string) => (asBefore.has(of) ? AS_BEFORE : `restrict.${of}`);
  const { compiled: _, ...others } = rules;
  return {
    ...others,
    files: rules.files.map((rule) => ({ ...rule, label: label(rule.label) })),
    network: rules.network.map((rule) => ({ ...rule, label: label(rule.label) })),
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
