// A policy as the supervisor reads it.
import { constants } from 'node:os';
import { FieldWriter } from '../native/fields.ts';
import type { Native } from '../native/native.ts';
import { writeExecRules, writeUnder } from './exec.ts';
import { CompiledPolicy, type FileRule, type NetworkRule, type PolicyRules, type Rules } from './policy.ts';
import type { CallRule } from './syscalls.ts';

export interface Configuration {
  /** Not of a restriction. */
  command?: string;
  waitForTree: boolean;
  rules: Rules;
  /** Fields and their numbers. */
  limits: readonly (readonly [field: string, limit: number])[];
  /** What the tree asks for is counted. */
  record?: boolean;
  /** The folder of the tree's control group. */
  group?: string | undefined;
}

const errnos = { EACCES: constants.errno.EACCES, ENOENT: constants.errno.ENOENT } as const;
const effects = { allow: 1, deny: 2 } as const;

function networkRule(writer: FieldWriter, rule: NetworkRule): void {
  const { effect, operations, label } = rule;
  if (rule.kind === 'unix') {
    writer.nested('unixRule', (fields) =>
      fields
        .number('effect', effects[effect])
        .number('operations', operations)
        .text('path', rule.name)
        .text('label', label),
    );
    return;
  }
  writer.nested('addressRule', (fields) =>
    fields
      .number('effect', effects[effect])
      .number('operations', operations)
      .number('family', rule.family === 4 ? 2 : 10)
      .bytes('bytes', rule.bytes)
      .number('prefix', rule.prefix)
      .number('portLow', rule.portLow)
      .number('portHigh', rule.portHigh)
      .text('label', label),
  );
}

function fileRule(writer: FieldWriter, rule: FileRule): void {
  writer.nested('fileRule', (fields) => {
    fields
      .number('effect', effects[rule.effect])
      .number('access', rule.access)
      .text('path', rule.path)
      .text('label', rule.label);
    if (rule.pattern !== undefined) fields.text('pattern', rule.pattern);
    if (rule.hidden) fields.number('hidden', 1);
    if (rule.device !== undefined) fields.number('device', rule.device);
    if (rule.data) fields.number('data', 1);
    if (rule.dry) fields.number('dry', 1);
  });
}

/** There are few lists of defaults, shared by many policies: each is encoded once. */
const encodedDefaults = new WeakMap<readonly FileRule[], Uint8Array>();

function defaults(native: Native, rules: readonly FileRule[]): Uint8Array {
  let bytes = encodedDefaults.get(rules);
  if (bytes === undefined) {
    const writer = new FieldWriter(native.fields);
    for (const rule of rules) fileRule(writer, rule);
    bytes = Uint8Array.from(writer.finish());
    encodedDefaults.set(rules, bytes);
  }
  return bytes;
}

/** A rule on a system call, or a hook on one. */
export function callRule(writer: FieldWriter, rule: CallRule, hook?: number): void {
  writer.nested('callRule', (fields) => {
    fields.text('syscall', rule.call).number('action', rule.action);
    if (rule.errno !== 0) fields.number('errno', rule.errno);
    if (hook === undefined) fields.text('label', rule.label);
    else fields.number('hook', hook);
    if (rule.tests.length > 0) fields.bytes('tests', rule.tests);
  });
}

function ownRules(writer: FieldWriter, { files, network, calls, exec, unders }: PolicyRules): void {
  for (const rule of calls) callRule(writer, rule);
  writeExecRules(writer, exec);
  writeUnder(writer, unders);
  for (const rule of files) fileRule(writer, rule);
  for (const rule of network) networkRule(writer, rule);
}

const encodedPolicies = new WeakMap<CompiledPolicy, Uint8Array>();

/** The rules of a compiled policy, encoded at its first use. */
function encoded(native: Native, policy: CompiledPolicy): Uint8Array {
  let bytes = encodedPolicies.get(policy);
  if (bytes === undefined) {
    const writer = new FieldWriter(native.fields);
    ownRules(writer, CompiledPolicy.rules(policy));
    bytes = Uint8Array.from(writer.finish());
    encodedPolicies.set(policy, bytes);
  }
  return bytes;
}

/** What `configure` carries. */
export function encodeConfiguration(native: Native, configuration: Configuration): Uint8Array {
  const { command, waitForTree, rules, limits, group, record } = configuration;
  // Before our own writer: one writes at a time.
  const known = defaults(native, rules.defaults);
  const compiled = rules.compiled && encoded(native, rules.compiled);
  const writer = new FieldWriter(native.fields);
  writer.nested('options', (fields) => {
    fields
      .number('anyExec', Number(rules.anyExec))
      .number('waitForTree', Number(waitForTree))
      .number('ownTerminals', Number(rules.scratch))
      .number('ungranted', errnos[rules.ungranted])
      .number('unwritten', Number(!rules.written))
      .number('noWritableCode', Number(!rules.writableMappings))
      .number('strict', Number(rules.strict));
    if (rules.letsBy) fields.number('letsBy', 1);
    if (record === true) fields.number('record', 1);
    if (command !== undefined) fields.text('command', command);
  });
  if (limits.length > 0 || group !== undefined) {
    writer.nested('limits', (fields) => {
      for (const [field, limit] of limits) fields.number(field, limit);
      if (group !== undefined) fields.text('limitGroup', group);
    });
  }
  for (const { from, to } of rules.leads ?? [])
    writer.nested('lead', (fields) => fields.text('path', from).text('target', to));
  writer.append(known);
  if (rules.compiled === undefined || compiled === undefined) ownRules(writer, rules);
  else {
    writer.append(compiled);
    for (const rule of rules.files.slice(CompiledPolicy.rules(rules.compiled).files.length)) fileRule(writer, rule);
  }
  return writer.finish();
}
