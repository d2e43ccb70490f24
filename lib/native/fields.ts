// The configuration as the supervisor reads it (native/protocol/tlv.h): u16 tag, u16 zero, u32 size, bytes, padding to 8.

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
