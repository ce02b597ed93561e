import { once } from "node:events";
import { type AddressInfo, createConnection, createServer, type Socket } from "node:net";

/** A way to a server of this machine that can be cut, and mended at the same port. */
export async function cuttableWay(
  to: number,
): Promise<AsyncDisposable & { port: number; cut: () => void; mend: () => Promise<void> }> {
  const open = new Set<Socket>();
  const server = createServer((near) => {
    const far = createConnection({ host: "127.0.0.1", port: to });
    near.pipe(far).pipe(near);
    const end = () => {
      near.destroy();
      far.destroy();
      open.delete(near);
    };
    open.add(near);
    for (const socket of [near, far]) socket.on("error", end).on("close", end);
  });
  const listen = async (port: number) => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  };
  await listen(0);
  const { port } = server.address() as AddressInfo; // it listens on an address, not on a path
  const cut = () => {
    server.close();
    for (const socket of open) socket.destroy();
  };
  return { port, cut, mend: () => listen(port), [Symbol.asyncDispose]: async () => cut() };
}
