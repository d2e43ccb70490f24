// Ports of the loopback that nobody else takes.
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { HoldfastError } from '../index.ts';

/** A port that is held for one sandbox. */
export interface ReservedPort {
  readonly port: number;
  release(): Promise<void>;
}

const LOWEST = 20_000;
const TRIES = 200;

/** Where the kernel takes ports from for who names none: nothing that is reserved may lie there. */
function firstEphemeral(): number {
  try {
    const first = Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10);
    return first > LOWEST + 1000 ? first : 32_768;
  } catch {
    return 32_768;
  }
}

/** Listens, or says why it cannot. */
function listening(where: Parameters<Server['listen']>[0]): Promise<Server | string> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'ERROR'));
    server.listen(where, () => resolve(server));
  });
}

const closed = (server: Server) => new Promise<void>((resolve) => void server.close(() => resolve()));

async function isFree(port: number): Promise<boolean> {
  for (const host of ['0.0.0.0', '::']) {
    const server = await listening({ port, host, ipv6Only: host === '::', exclusive: true });
    if (typeof server !== 'string') await closed(server);
    else if (server !== 'EAFNOSUPPORT' && server !== 'EADDRNOTAVAIL') return false;
  }
  return true;
}

/**
 * Reserves a port that nothing listens on, below those that the kernel gives away. The mark is an abstract unix socket, which
 * every process of this network namespace can see and which is gone with its process, however that ends.
 */
export async function reservePort(): Promise<ReservedPort> {
  const end = firstEphemeral();
  for (let i = 0; i < TRIES; i++) {
    const port = randomInt(LOWEST, end);
    const mark = await listening({ path: `\0holdfast-test-port-${port}` });
    if (typeof mark === 'string') continue;
    mark.unref();
    if (await isFree(port)) return { port, release: () => closed(mark) };
    await closed(mark);
  }
  throw new HoldfastError(
    'ERR_HOLDFAST_LIMIT',
    `no free port from ${LOWEST} to ${end - 1} was found in ${TRIES} tries`,
  );
}

const LISTENING = '0A'; // TCP_LISTEN, include/net/tcp_states.h

/** Whether something accepts connections there, at this moment: without making one, which the program would notice. */
export function isListening(port: number): boolean {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return ['/proc/net/tcp', '/proc/net/tcp6'].some((table) => {
    let text: string;
    try {
      text = readFileSync(table, 'utf8');
    } catch {
      return false; // no IPv6
    }
    return text.split('\n').some((line) => {
      const [, local, , state] = line.trim().split(/\s+/);
      return state === LISTENING && local?.endsWith(end) === true;
    });
  });
}
