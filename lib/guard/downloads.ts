// What a package may reach: names of hosts beside the addresses that policies know. A name is looked up once, by the guard,
// and the script is given the answer in its /etc/hosts: so it needs no name server, which could carry anything out.
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { parseAddress } from '../policy/addresses.ts';

/** An address as policies have it, or a name with its port. */
export type Download = { address: string } | { host: string; port: number };

const hostName = /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
const ports: Readonly<Record<string, number>> = { 'https:': 443, 'http:': 80 };

function fromUrl(text: string): Download | string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return 'is no URL';
  }
  const port = url.port === '' ? ports[url.protocol] : Number(url.port);
  if (port === undefined) return 'must be a URL of http: or https:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) === 0) return { host, port };
  return { address: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}` };
}

/** What an entry of `network` means, or in words what is wrong with it. */
export function downloadOf(text: string): Download | string {
  if (text.includes('://')) return fromUrl(text);
  const [, host = '', port] = /^([^:]*)(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (hostName.test(host) && isIP(host) === 0) {
    const number = port === undefined ? 443 : Number(port);
    return number > 0 && number < 65536 ? { host, port: number } : 'has no such port';
  }
  try {
    parseAddress(text);
    return { address: text };
  } catch (error) {
    return `is no name of a host, and as an address it ${(error as Error).message}`;
  }
}

export interface Reach {
  /** For `policy.network.connect`. */
  connect: string[];
  /** For the script's /etc/hosts. */
  hosts: string;
  /** Names without an answer. */
  unknown: string[];
}

/** Looks the names up. It never rejects: what has no answer is not reached. */
export async function reachOf(downloads: readonly Download[]): Promise<Reach> {
  const reach: Reach = { connect: [], hosts: '', unknown: [] };
  for (const download of downloads) {
    if ('address' in download) {
      reach.connect.push(download.address);
      continue;
    }
    const { host, port } = download;
    try {
      for (const { address } of await lookup(host, { all: true })) {
        reach.connect.push(address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`);
        reach.hosts += `${address} ${host}\n`;
      }
    } catch {
      reach.unknown.push(host);
    }
  }
  return reach;
}
