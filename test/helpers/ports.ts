import { createServer, type Server, type Socket } from 'node:net';
import { afterAll } from 'vitest';

const open = new Set<Server>();

afterAll(() => {
  for (const server of open) server.close();
});

export interface Listener {
  readonly host: string;
  readonly port: number;
  /** `host:port`, as a policy names it. */
  readonly address: string;
  /** How many connections it has seen so far. */
  readonly seen: number;
  close(): Promise<void>;
}

/** A TCP listener on the loopback that counts its connections, and answers each with `greeting`. */
export async function listen({ host = '127.0.0.1', greeting = 'hello\n' } = {}): Promise<Listener> {
  let seen = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    seen += 1;
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.end(greeting);
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, resolve));
  open.add(server);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the listener has no port');
  return {
    host,
    port: address.port,
    address: host.includes(':') ? `[${host}]:${address.port}` : `${host}:${address.port}`,
    get seen() {
      return seen;
    },
    close: () =>
      new Promise((resolve) => {
        open.delete(server);
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** A loopback port that nothing listens on. */
export async function unusedPort(): Promise<number> {
  const listener = await listen();
  await listener.close();
  return listener.port;
}
