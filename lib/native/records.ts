// Fields of a record, whatever the record is about.
import type { NativeRecord } from './native.ts';

/** A record's own field: it is an object like any other, and Object.prototype may have anything. */
export function own(record: NativeRecord, field: string): unknown {
  return Object.hasOwn(record, field) ? record[field] : undefined;
}

export function number(record: NativeRecord, field: string, otherwise = 0): number {
  const value = own(record, field);
  return typeof value === 'number' ? value : typeof value === 'bigint' ? Number(value) : otherwise;
}

export function optionalNumber(record: NativeRecord, field: string): number | undefined {
  return own(record, field) === undefined ? undefined : number(record, field);
}

export function text(record: NativeRecord, field: string): string {
  const value = own(record, field);
  return typeof value === 'string' ? value : '';
}

export function optionalText(record: NativeRecord, field: string): string | undefined {
  const value = own(record, field);
  return typeof value === 'string' ? value : undefined;
}

/** A text that may stand several times. */
export function texts(record: NativeRecord, field: string): string[] {
  const value = own(record, field);
  return Array.isArray(value) ? (value as string[]) : [];
}

/** Fields within fields. */
export function nested(record: NativeRecord, field: string): NativeRecord[] {
  const value = own(record, field);
  return Array.isArray(value) ? (value as NativeRecord[]) : [];
}

export function bytes(record: NativeRecord, field: string): Buffer | undefined {
  return own(record, `${field}Bytes`) as Buffer | undefined;
}
