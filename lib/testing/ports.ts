// Ports of the loopback that nobody else takes.
import { readFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
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
    const port = LOWEST + Math.floor(Math.random() * (end - LOWEST));
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

/** Whether something accepts connections there, at this moment. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true)).once('error', () => end(false));
  });
}
