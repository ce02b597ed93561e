import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Duplex } from "node:stream";
import { getCACertificates } from "node:tls";
import type { Secret } from "@stillpoint/contracts/secret";

/** How a target is reached. Everything is optional: the machine's own network and the authorities that Node trusts. */
export type Network = {
  /** `http://[user:password@]host:port`; TLS goes through it by CONNECT. */
  proxy?: Secret | undefined;
  /** Authorities in PEM, trusted beside the well-known ones, for this target alone. */
  ca?: string | undefined;
  /** What the target asks of us, in PEM. */
  clientCertificate?: { certificate: string; key: Secret } | undefined;
  /** Connections at once. */
  connections?: number | undefined;
  /** A connection over which nothing moved for so long is dead. */
  silenceMs?: number | undefined;
};

export type Agents = { http: HttpAgent; https: HttpsAgent };

const CONNECTIONS = 64;
const SILENCE_MS = 60_000;

/** An agent tells of silence, and leaves the connection as it is: whoever waits on it would wait for ever. */
function endingSilence<A extends HttpAgent>(agent: A, silenceMs: number): A {
  const end = (socket: Duplex | null | undefined) =>
    socket?.on("timeout", () => socket.destroy(new Error(`nothing moved for ${silenceMs} ms`)));
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    // Through a proxy the socket comes by the callback, without one it is returned.
    const socket = connect(options, (error, connected) => {
      end(connected);
      callback?.(error, connected);
    });
    end(socket);
    return socket;
  };
  return agent;
}

/** Connections that are kept between calls. Node's own agents know proxies. */
export function agentsFor(network: Network = {}): Agents {
  const { proxy, ca, clientCertificate, connections = CONNECTIONS, silenceMs = SILENCE_MS } = network;
  const proxyUrl = proxy?.reveal();
  const options = {
    keepAlive: true,
    maxSockets: connections,
    maxFreeSockets: connections,
    timeout: silenceMs,
    ...(proxyUrl === undefined ? {} : { proxyEnv: { HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl } }),
  };
  return {
    http: endingSilence(new HttpAgent(options), silenceMs),
    https: endingSilence(
      new HttpsAgent({
        ...options,
        ...(ca === undefined ? {} : { ca: [...getCACertificates("default"), ca] }),
        ...(clientCertificate === undefined
          ? {}
          : { cert: clientCertificate.certificate, key: clientCertificate.key.reveal() }),
      }),
      silenceMs,
    ),
  };
}

export function closeAgents({ http, https }: Agents): void {
  http.destroy();
  https.destroy();
}
