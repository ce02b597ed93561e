import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { Transform } from "node:stream";

export type CuttingProxy = AsyncDisposable & {
  readonly port: number;
  /** Breaks every connection that is open. From then on nothing is held back. */
  cut(): void;
};

/** Passes connections on to a port of this machine, until it cuts them. Of an answer it holds back what is beyond a length. */
export async function cuttingProxy(to: number, { holdAfterBytes }: { holdAfterBytes: number }): Promise<CuttingProxy> {
  const open = new Set<Socket>();
  let limit = holdAfterBytes;
  const server = createServer((near) => {
    const far = connect({ host: "127.0.0.1", port: to });
    for (const socket of [near, far]) {
      open.add(socket);
      socket.once("close", () => {
        open.delete(socket);
        near.destroy();
        far.destroy();
      });
      // Broken on purpose; the other side is told by its own connection.
      socket.on("error", () => undefined);
    }
    near
      .pipe(far)
      .pipe(held(() => limit))
      .pipe(near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("unreachable: it listens on TCP");
  const cut = () => {
    limit = Number.POSITIVE_INFINITY;
    for (const socket of open) socket.resetAndDestroy();
  };
  return {
    port: address.port,
    cut,
    async [Symbol.asyncDispose]() {
      server.close();
      cut();
      await once(server, "close");
    },
  };
}

/** Passes bytes on up to a limit, and stands still with the first piece that goes beyond it. */
function held(limit: () => number): Transform {
  let passed = 0;
  return new Transform({
    transform(piece: Buffer, _, done) {
      passed += piece.byteLength;
      if (passed <= limit()) done(null, piece);
    },
  });
}
