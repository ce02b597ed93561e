import { once } from "node:events";
import { createServer as createHttpServer, request } from "node:http";
import { type AddressInfo, connect, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { generate } from "selfsigned";

type Pem = { key: string; certificate: string };

async function signed(commonName: string, authority?: Pem): Promise<Pem> {
  const { private: key, cert: certificate } = await generate([{ name: "commonName", value: commonName }], {
    algorithm: "sha256",
    ...(authority === undefined ? {} : { ca: { key: authority.key, cert: authority.certificate } }),
    extensions: [
      { name: "basicConstraints", cA: authority === undefined, critical: true },
      { name: "subjectAltName", altNames: [{ type: 2, value: commonName }] },
    ],
  });
  return { key, certificate };
}

/** Own authority, a server's and a client's certificate of it, and a client's of somebody else. */
export async function certificates(host: string) {
  const authority = await signed("Own Authority");
  const stranger = await signed("Another Authority");
  const [server, client, strange] = [signed(host, authority), signed("vault", authority), signed("vault", stranger)];
  return { authority, server: await server, client: await client, strange: await strange };
}
export type Certificates = Awaited<ReturnType<typeof certificates>>;

type Listening = AsyncDisposable & { port: number };

async function listening(server: Server, sockets: Set<Socket>): Promise<Listening> {
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy()).on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // a TCP server's address is an object
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function join(one: Socket, other: Socket): void {
  one.pipe(other).pipe(one);
  for (const [socket, peer] of [
    [one, other],
    [other, one],
  ] as const)
    socket.on("error", () => peer.destroy()).on("close", () => peer.destroy());
}

/** TLS before a server that has none; who comes without a certificate of the authority is turned away. */
export async function tlsFront(backend: string, { authority, server }: Certificates): Promise<Listening> {
  const options = { key: server.key, cert: server.certificate, ca: authority.certificate, requestCert: true };
  const front = createTlsServer({ ...options, rejectUnauthorized: true }, (socket) =>
    join(socket, connect(Number(new URL(backend).port), "127.0.0.1")),
  );
  return listening(front, new Set());
}

/**
 * A proxy that knows one host by name, which nobody else does, asks for a password, and counts what passes: tunnels by
 * CONNECT and plain requests.
 */
export async function proxyTo(host: string, port: number, password: string) {
  const passed = { tunnels: 0, requests: 0, refused: 0 };
  const wanted = `Basic ${Buffer.from(`vault:${password}`).toString("base64")}`;
  const proxy = createHttpServer((asked, response) => {
    const url = new URL(asked.url ?? "", "http://none");
    if (asked.headers["proxy-authorization"] !== wanted || url.hostname !== host) {
      passed.refused++;
      response.writeHead(407).end();
      return;
    }
    passed.requests++;
    const { method, headers } = asked;
    const on = request({ host: "127.0.0.1", port, method, headers, path: url.pathname + url.search }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    on.on("error", () => response.destroy());
    asked.pipe(on);
  });
  proxy.on("connect", (asked, socket: Socket) => {
    if (asked.headers["proxy-authorization"] !== wanted || asked.url?.split(":")[0] !== host) {
      passed.refused++;
      socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
      return;
    }
    passed.tunnels++;
    socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    join(socket, connect(port, "127.0.0.1"));
  });
  const server = await listening(proxy, new Set());
  return Object.assign(server, { passed });
}
