import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
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
};

export type Agents = { http: HttpAgent; https: HttpsAgent };

const CONNECTIONS = 64;

/** Connections that are kept between calls. Node's own agents know proxies. */
export function agentsFor(network: Network = {}): Agents {
  const { proxy, ca, clientCertificate, connections = CONNECTIONS } = network;
  const proxyUrl = proxy?.reveal();
  const options = {
    keepAlive: true,
    maxSockets: connections,
    maxFreeSockets: connections,
    ...(proxyUrl === undefined ? {} : { proxyEnv: { HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl } }),
  };
  return {
    http: new HttpAgent(options),
    https: new HttpsAgent({
      ...options,
      ...(ca === undefined ? {} : { ca: [...getCACertificates("default"), ca] }),
      ...(clientCertificate === undefined
        ? {}
        : { cert: clientCertificate.certificate, key: clientCertificate.key.reveal() }),
    }),
  };
}

export function closeAgents({ http, https }: Agents): void {
  http.destroy();
  https.destroy();
}
