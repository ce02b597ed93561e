import { QdrantClient } from "@qdrant/js-client-rest";
import type { Secret } from "@stillpoint/contracts/secret";
import { type BaseUrl, formatBaseUrl } from "./base-url.ts";

export type QdrantApi = ReturnType<QdrantClient["api"]>;

/** A server to talk to: the client's calls, and what is needed for those that the client does not have. */
export type QdrantServer = {
  readonly at: BaseUrl;
  /** For people and errors; holds no secret. */
  readonly url: string;
  readonly api: QdrantApi;
  readonly headers: () => Record<string, string>;
};

/** The peers of one cluster that are named, or the one server there is. */
export type Peers = readonly [QdrantServer, ...QdrantServer[]];

export function qdrantServer(at: BaseUrl, key: Secret | undefined): QdrantServer {
  const headers = (): Record<string, string> => (key === undefined ? {} : { "api-key": key.reveal() });
  const client = new QdrantClient({
    host: at.host,
    port: at.port,
    https: at.https,
    ...(at.prefix === "" ? {} : { prefix: at.prefix }),
    // As a header, not as `apiKey`: that one prints a warning for plain HTTP into whatever log there is.
    headers: headers(),
    // The client's own time limit would take the place of a caller's signal.
    timeout: Number.POSITIVE_INFINITY,
    checkCompatibility: false,
  });
  return { at, url: formatBaseUrl(at), api: client.api(), headers };
}
