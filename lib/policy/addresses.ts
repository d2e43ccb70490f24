// Address rules as text: 127.0.0.1:4873, 10.0.0.0/8, [::1]:80, *:443, unix:/path, unix:@name.
import { isIPv4, isIPv6 } from 'node:net';

export type AddressRule =
  | { kind: 'internet'; family: 4 | 6; bytes: Uint8Array; prefix: number; portLow: number; portHigh: number }
  | { kind: 'unix'; name: string };

/** What is wrong with an address, without the field and the value: the caller knows those. */
export class AddressProblem extends Error {}

/** Half of a surrogate pair would become another character on its way, and a rule another rule. */
export function notUtf8(text: string): boolean {
  return /\p{Surrogate}/u.test(text);
}

function ipv4Bytes(text: string): number[] {
  return text.split('.').map(Number);
}

/** The 16 bytes of an address that `isIPv6` has accepted. */
export function ipv6Bytes(text: string): number[] {
  const [head = '', tail] = text.split('::');
  const groups = (part: string): number[] =>
    part === ''
      ? []
      : part.split(':').flatMap((group) => {
          if (group.includes('.')) return ipv4Bytes(group);
          const value = Number.parseInt(group, 16);
          return [value >> 8, value & 255];
        });
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  return [...front, ...new Array<number>(16 - front.length - back.length).fill(0), ...back];
}

export function addressBytes(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(ipv4Bytes(text));
  if (isIPv6(text) && !text.includes('%')) return Uint8Array.from(ipv6Bytes(text));
  return undefined;
}

function ports(text: string | undefined): { portLow: number; portHigh: number } {
  if (text === undefined || text === '*') return { portLow: 0, portHigh: 65535 };
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  const portLow = Number(match?.[1]);
  const portHigh = Number(match?.[2] ?? match?.[1]);
  if (!match || portHigh > 65535 || portLow > portHigh) {
    throw new AddressProblem('its port must be a number from 0 to 65535, or a range like 3000-3999');
  }
  return { portLow, portHigh };
}

/** Splits `host[/prefix][:ports]`, with brackets around an IPv6 host that has ports. */
function split(text: string): { host: string; prefix: string | undefined; port: string | undefined } {
  const bracketed = /^\[([^\]/]+)(?:\/(\d+))?\](?:\/(\d+))?(?::(.+))?$/.exec(text);
  if (bracketed) return { host: bracketed[1] ?? '', prefix: bracketed[2] ?? bracketed[3], port: bracketed[4] };
  const bare = /^([^/]*:[^/]*:[^/]*)(?:\/(\d+))?$/.exec(text);
  if (bare) return { host: bare[1] ?? '', prefix: bare[2], port: undefined };
  const plain = /^([^:/]+)(?:\/(\d+))?(?::(.+))?$/.exec(text);
  if (plain) return { host: plain[1] ?? '', prefix: plain[2], port: plain[3] };
  throw new AddressProblem('it is not an address. Write 127.0.0.1:80, 10.0.0.0/8, [::1]:80, *:443, or unix:/path');
}

function internet(bytes: Uint8Array, prefixText: string | undefined, port: string | undefined): AddressRule {
  const bits = bytes.length * 8;
  let prefix = prefixText === undefined ? bits : Number(prefixText);
  if (prefix > bits) throw new AddressProblem(`its prefix must be a number of bits from 0 to ${bits}`);
  for (let bit = prefix; bit < bits; bit++) {
    if (((bytes[bit >> 3] ?? 0) & (128 >> (bit & 7))) !== 0) {
      throw new AddressProblem(`it has bits set beyond its prefix of ${prefix}: write the network's first address`);
    }
  }
  // An IPv4 address in IPv6 clothes is IPv4 to the rules.
  const mapped =
    bytes.length === 16 &&
    prefix >= 96 &&
    Buffer.from(bytes.subarray(0, 12)).toString('hex') === `${'0'.repeat(20)}ffff`;
  if (mapped) prefix -= 96;
  const own = mapped ? bytes.subarray(12) : bytes;
  return { kind: 'internet', family: own.length === 4 ? 4 : 6, bytes: own, prefix, ...ports(port) };
}

/** Throws {@link AddressProblem}. `*` becomes one rule for each family. `mayBind`: port 0 means something. */
export function parseAddress(text: string, mayBind = true): AddressRule[] {
  if (text.includes('\0')) throw new AddressProblem('it contains a NUL byte');
  if (notUtf8(text)) throw new AddressProblem('it cannot be written as UTF-8');
  if (text.startsWith('unix:')) {
    const name = text.slice('unix:'.length);
    const most = name.startsWith('@') ? 108 : 4095;
    if (Buffer.byteLength(name) > most) {
      throw new AddressProblem('it is longer than a path (4095 bytes) or an abstract name (107) may be');
    }
    if (name === '*') {
      throw new AddressProblem('unix:/ is every socket that has a path, unix:@* every abstract one: name both');
    }
    if (!/^(\/|@.)/s.test(name)) {
      throw new AddressProblem('a unix socket is an absolute path (unix:/run/x.sock) or an abstract name (unix:@x)');
    }
    const stars = name.startsWith('@') ? name.slice(0, -1) : name;
    if (stars.includes('*')) {
      throw new AddressProblem(
        'a * stands only at the end of an abstract name (unix:@x*); a directory (unix:/run) means all sockets below it',
      );
    }
    return [{ kind: 'unix', name }];
  }
  const { host, prefix, port } = split(text);
  // ::1:80 is an address, ::0001:0080, and hardly ever meant so.
  const last = /^(.+):(\d+)$/.exec(text);
  if (isIPv6(text) && last && isIPv6(last[1] ?? '')) {
    throw new AddressProblem(
      `it may be an address or an address and a port: write [${last[1]}]:${last[2]} or [${text}]`,
    );
  }
  if (port !== undefined && /^0+$/.test(port) && !mayBind) {
    throw new AddressProblem("nothing can be sent to port 0: only bind takes it, for a port of the kernel's choice");
  }
  if (host === '*') {
    if (prefix !== undefined) throw new AddressProblem('* takes no prefix');
    return [internet(new Uint8Array(4), '0', port), internet(new Uint8Array(16), '0', port)];
  }
  if (host.includes('%')) throw new AddressProblem('zone ids are not supported');
  const bytes = addressBytes(host);
  if (bytes === undefined) {
    const hint = host === 'localhost' ? 'write 127.0.0.1 and [::1]' : 'look it up and write its addresses';
    throw new AddressProblem(`names are not resolved here, because their answers can change under the rule: ${hint}`);
  }
  return [internet(bytes, prefix, port)];
}
