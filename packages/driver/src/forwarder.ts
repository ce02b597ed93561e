import { connect, createServer, type Server, type Socket } from "node:net";
import { pipeline } from "node:stream/promises";

type Address = { path: string } | { host: string; port: number };

/** Listens at one address and pipes each connection to another, both ways, each end closing for itself. */
export async function forward(from: Address, to: Address): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (near) => join(near, connect({ ...to, allowHalfOpen: true })));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(from, resolve);
  await promise;
  return server;
}

function join(near: Socket, far: Socket): void {
  // One side breaking ends the other: that is all there is to tell either of them.
  const fail = () => {
    near.destroy();
    far.destroy();
  };
  pipeline(near, far).catch(fail);
  pipeline(far, near).catch(fail);
}

export interface LoopbackPort extends AsyncDisposable {
  readonly port: number;
}

/**
 * A port of 127.0.0.1 that leads to a Unix socket, for clients that speak nothing but TCP. Anybody on this machine can
 * connect to it, so what is behind it needs credentials.
 */
export async function listenOnLoopback(socket: string): Promise<LoopbackPort> {
  const server = await forward({ host: "127.0.0.1", port: 0 }, { path: socket });
  const open = new Set<Socket>();
  server.on("connection", (each) => {
    open.add(each);
    each.once("close", () => open.delete(each));
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("unreachable: it listens on TCP");
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      for (const each of open) each.destroy();
      await closed.promise;
    },
  };
}
