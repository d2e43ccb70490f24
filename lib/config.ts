// The configuration as the supervisor reads it (native/protocol/tlv.h): u16 tag, u16 zero, u32 size, bytes, padding to 8.
import type { CompiledFilter } from './filter.ts';
import type { Native } from './native.ts';
import type { FileRule, NetworkRule, Rules } from './policy.ts';

/** For one writer after the other: what is written is sent, or copied, before the next one begins. */
const scratch = Buffer.alloc(16384);

export class FieldWriter {
  readonly #tags: Readonly<Record<string, number>>;
  #buffer = scratch;
  #size = 0;

  constructor(tags: Readonly<Record<string, number>>) {
    this.#tags = tags;
  }

  /** Fields that another writer has made. */
  append(fields: Uint8Array): this {
    this.#makeRoom(fields.length);
    this.#buffer.set(fields, this.#size);
    this.#size += fields.length;
    return this;
  }

  number(field: string, value: number): this {
    const at = this.#reserve(field, 8);
    this.#buffer.writeBigInt64LE(BigInt(value), at);
    return this;
  }

  text(field: string, value: string): this {
    return this.bytes(field, Buffer.from(value));
  }

  bytes(field: string, value: Uint8Array): this {
    const at = this.#reserve(field, value.length);
    this.#buffer.set(value, at);
    return this;
  }

  nested(field: string, fill: (writer: this) => void): this {
    const at = this.#reserve(field, 0);
    fill(this);
    this.#buffer.writeUInt32LE(this.#size - at, at - 4);
    return this;
  }

  /** Valid until the next writer writes. */
  finish(): Uint8Array {
    return this.#buffer.subarray(0, this.#size);
  }

  #makeRoom(bytes: number): void {
    const end = this.#size + bytes;
    if (end <= this.#buffer.length) return;
    const larger = Buffer.alloc(Math.max(end, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#size);
    this.#buffer = larger;
  }

  #reserve(field: string, size: number): number {
    const tag = this.#tags[field];
    if (tag === undefined) throw new Error(`there is no field ${field} in native/protocol/fields.def`);
    const end = this.#size + 8 + ((size + 7) & ~7);
    this.#makeRoom(end - this.#size);
    // A tag has 16 bits, and the 16 after it are zero.
    this.#buffer.writeUInt32LE(tag, this.#size);
    this.#buffer.writeUInt32LE(size, this.#size + 4);
    const at = this.#size + 8;
    this.#buffer.fill(0, at + size, end);
    this.#size = end;
    return at;
  }
}

export interface HookRule {
  id: number;
  event: string;
  filters: readonly CompiledFilter[];
}

export interface Configuration {
  command: string;
  waitForTree: boolean;
  rules: Rules;
}

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

function hookRule(writer: FieldWriter, id: number, event: number, filter: CompiledFilter): void {
  writer.nested('hookRule', (fields) => {
    fields.number('hook', id).number('event', event).number('access', filter.access);
    if (filter.pattern !== undefined) fields.text('pattern', filter.pattern);
    if (filter.ports !== undefined) fields.number('portLow', filter.ports[0]).number('portHigh', filter.ports[1]);
  });
}

function fileRule(writer: FieldWriter, rule: FileRule): void {
  writer.nested('fileRule', (fields) =>
    fields
      .number('effect', effects[rule.effect])
      .number('access', rule.access)
      .text('path', rule.path)
      .text('label', rule.label),
  );
}

/** The defaults are the same in every policy: they are encoded once. */
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

/** What `configure` carries. */
export function encodeConfiguration(native: Native, configuration: Configuration): Uint8Array {
  const { command, waitForTree, rules } = configuration;
  const known = defaults(native, rules.defaults);
  const writer = new FieldWriter(native.fields);
  writer.nested('options', (fields) =>
    fields.number('anyExec', Number(rules.anyExec)).number('waitForTree', Number(waitForTree)).text('command', command),
  );
  writer.append(known);
  for (const rule of rules.files) fileRule(writer, rule);
  for (const rule of rules.network) networkRule(writer, rule);
  return writer.finish();
}

/** What `start` carries. */
export function encodeHooks(native: Native, hooks: readonly HookRule[]): Uint8Array {
  const writer = new FieldWriter(native.fields);
  for (const hook of hooks) {
    const event = native.events.indexOf(hook.event);
    for (const filter of hook.filters) hookRule(writer, hook.id, event, filter);
  }
  return writer.finish();
}
