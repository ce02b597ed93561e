import { request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { text } from "node:stream/consumers";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Secret } from "@stillpoint/contracts/secret";
import { z } from "zod";

export type TransitServer = {
  /** `https://vault:8200`. */
  address: string;
  /** Read at each use: an agent beside may renew it. */
  token: () => Promise<Secret>;
  /** PEM of the authorities that may have signed the server's certificate; absent: the system's. */
  ca?: string | undefined;
  namespace?: string | undefined;
  timeoutMs?: number;
};

export type TransitAnswer = { status: number; body: unknown };

const errorsBody = z.object({ errors: z.array(z.string()).default([]) });

/** One POST to Vault's HTTP API. `fetch` cannot be given an authority of one's own, so it is the request below it. */
export async function askTransit(server: TransitServer, path: string, body: unknown): Promise<TransitAnswer> {
  const url = new URL(`v1/${path}`, server.address.endsWith("/") ? server.address : `${server.address}/`);
  const token = await server.token();
  const payload = Buffer.from(JSON.stringify(body));
  const { promise, resolve, reject } = Promise.withResolvers<TransitAnswer>();
  const request = (url.protocol === "https:" ? tlsRequest : plainRequest)(
    url,
    {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "content-length": payload.length,
        "x-vault-request": "true",
        "x-vault-token": token.reveal(),
        ...(server.namespace === undefined ? {} : { "x-vault-namespace": server.namespace }),
      },
      ...(server.ca === undefined ? {} : { ca: server.ca }),
      signal: AbortSignal.timeout(server.timeoutMs ?? 5_000),
      agent: false,
    },
    (response) => {
      text(response).then((answer) => {
        let parsed: unknown;
        try {
          parsed = JSON.parse(answer);
        } catch {
          parsed = {}; // a proxy's page: the status says enough
        }
        resolve({ status: response.statusCode ?? 0, body: parsed });
      }, reject);
    },
  );
  request.once("error", reject);
  request.end(payload);
  return promise.catch((error: unknown) => {
    throw refused(server.address, "KEY_UNREACHABLE", error instanceof Error ? error.message : String(error), error);
  });
}

function refused(where: string, code: "KEY_DENIED" | "KEY_UNREACHABLE", why: string, cause?: unknown): StillpointError {
  const isPassing = code === "KEY_UNREACHABLE";
  return new StillpointError(code, {
    what: isPassing ? "Vault does not answer" : "Vault refuses",
    where,
    why,
    hint: isPassing
      ? "wait, unseal it, or open the repository with another key slot"
      : "the token's policy needs `update` on encrypt/<key> and decrypt/<key>; or open with another key slot",
    cause,
  });
}

/** 503: sealed. 429, 472, 473: a standby, or too many requests. */
export function transitFailure(address: string, { status, body }: TransitAnswer): StillpointError {
  const said = errorsBody.safeParse(body).data?.errors.join("; ");
  const why = `it answers ${status}${said === undefined || said === "" ? "" : `: ${said}`}`;
  const isPassing = status >= 500 || [429, 472, 473].includes(status);
  return refused(address, isPassing ? "KEY_UNREACHABLE" : "KEY_DENIED", why);
}
