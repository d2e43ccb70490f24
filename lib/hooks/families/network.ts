import type { NativeRecord } from '../../native/native.ts';
import { type Call, call, number, text } from './common.ts';

interface InternetCall extends Call {
  readonly family: 'IPv4' | 'IPv6';
  /** As text. An IPv4-mapped IPv6 address is shown, and judged, as IPv4. */
  readonly address: string;
  readonly port: number;
}

interface UnixCall extends Call {
  readonly family: 'unix';
  /** Canonical path, or `@` and an abstract name. */
  readonly address: string;
  readonly port: undefined;
}

/** connect. */
export type ConnectCall = InternetCall | UnixCall;
/** bind. */
export type BindCall = InternetCall | UnixCall;
/** sendto, sendmsg and sendmmsg with an address. */
export type SendCall = InternetCall | UnixCall;

const AF_UNIX = 1;
const AF_INET6 = 10;

function socketCall(record: NativeRecord): InternetCall | UnixCall {
  const made = call(record);
  const address = text(record, 'address');
  const family = number(record, 'family');
  if (family === AF_UNIX) return { ...made, family: 'unix', address, port: undefined };
  return { ...made, family: family === AF_INET6 ? 'IPv6' : 'IPv4', address, port: number(record, 'port') };
}

export const networkCalls = {
  connect: (record: NativeRecord): ConnectCall => socketCall(record),
  bind: (record: NativeRecord): BindCall => socketCall(record),
  send: (record: NativeRecord): SendCall => socketCall(record),
};
