import type { AskReader } from '../../native/asks.ts';
import { type Call, call } from './common.ts';

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

function socketCall(ask: AskReader): InternetCall | UnixCall {
  const made = call(ask);
  const address = ask.text('address');
  const family = ask.number('family');
  if (family === AF_UNIX) return { ...made, family: 'unix', address, port: undefined };
  return { ...made, family: family === AF_INET6 ? 'IPv6' : 'IPv4', address, port: ask.number('port') };
}

export const networkCalls = {
  connect: (ask: AskReader): ConnectCall => socketCall(ask),
  bind: (ask: AskReader): BindCall => socketCall(ask),
  send: (ask: AskReader): SendCall => socketCall(ask),
};
