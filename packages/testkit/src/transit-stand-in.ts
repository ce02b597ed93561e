import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { z } from "zod";

const encrypt = z.object({ plaintext: z.base64() });
const decrypt = z.object({ ciphertext: z.string() });

export type TransitStandIn = AsyncDisposable & {
  address: string;
  token: string;
  /** What a program needs in its environment to reach it. */
  environment: Readonly<Record<string, string>>;
  createKey(name: string): void;
  /** A new version; ciphertexts of the older ones still open. */
  rotateKey(name: string): void;
  deleteKey(name: string): void;
  seal(): void;
  unseal(): void;
  /** The policy of the token is taken away. */
  revoke(): void;
  /** Requests, with the token that each came with. */
  asked: { path: string; token: string | undefined }[];
};

type Answer = { status: number; body: unknown };
const refused = (status: number, ...errors: string[]): Answer => ({ status, body: { errors } });

/** The HTTP API of HashiCorp Vault's transit engine on this machine, with AES-256-GCM under keys that never leave it. */
export async function startTransitStandIn(
  options: { tls?: { key: string; cert: string } } = {},
): Promise<TransitStandIn> {
  const keys = new Map<string, Buffer[]>();
  const token = `hvs.${randomBytes(18).toString("base64url")}`;
  const asked: TransitStandIn["asked"] = [];
  let isSealed = false;
  let isRevoked = false;

  function wrap(name: string, body: unknown): Answer {
    const versions = keys.get(name) ?? [];
    const key = versions.at(-1);
    // Vault makes a key that is not there where the policy has `create`; ours has not.
    if (key === undefined) return refused(403, "1 error occurred:\n\t* permission denied\n\n");
    const nonce = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", key, nonce);
    const sealed = Buffer.concat([cipher.update(encrypt.parse(body).plaintext, "base64"), cipher.final()]);
    const ciphertext = `vault:v${versions.length}:${Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString("base64")}`;
    return { status: 200, body: { data: { ciphertext, key_version: versions.length } } };
  }

  function unwrap(name: string, body: unknown): Answer {
    const versions = keys.get(name);
    if (versions === undefined) return refused(400, "encryption key not found");
    const [, version, text] = /^vault:v(\d+):(.+)$/.exec(decrypt.parse(body).ciphertext) ?? [];
    const key = versions[Number(version) - 1];
    if (key === undefined || text === undefined) return refused(400, "invalid ciphertext: no prefix");
    const sealed = Buffer.from(text, "base64");
    const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12), { authTagLength: 16 });
    decipher.setAuthTag(sealed.subarray(-16));
    try {
      const plain = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
      return { status: 200, body: { data: { plaintext: plain.toString("base64") } } };
    } catch {
      return refused(400, "cipher: message authentication failed");
    }
  }

  async function answer(request: IncomingMessage): Promise<Answer> {
    const body = await text(request);
    const given = request.headers["x-vault-token"];
    asked.push({ path: request.url ?? "", token: typeof given === "string" ? given : undefined });
    if (isSealed) return refused(503, "Vault is sealed");
    if (given !== token || isRevoked) return refused(403, "permission denied");
    const [, verb, name] = /^\/v1\/transit\/(encrypt|decrypt)\/([A-Za-z0-9._-]+)$/.exec(request.url ?? "") ?? [];
    if (name === undefined)
      return refused(404, `no handler for route "${request.url?.slice(4)}". route entry not found.`);
    return verb === "encrypt" ? wrap(name, JSON.parse(body)) : unwrap(name, JSON.parse(body));
  }

  const listener: RequestListener = (request, response) => {
    answer(request)
      .catch((error: unknown) => refused(400, String(error)))
      .then(({ status, body }) => {
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
      });
  };
  const server = options.tls === undefined ? createServer(listener) : createTlsServer(options.tls, listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const address = `${options.tls === undefined ? "http" : "https"}://127.0.0.1:${port}`;
  return {
    address,
    token,
    environment: { STILLPOINT_TRANSIT_URL: address, STILLPOINT_TRANSIT_TOKEN: token },
    createKey(name) {
      keys.set(name, [randomBytes(32)]);
    },
    rotateKey(name) {
      keys.get(name)?.push(randomBytes(32));
    },
    deleteKey(name) {
      keys.delete(name);
    },
    seal() {
      isSealed = true;
    },
    unseal() {
      isSealed = false;
    },
    revoke() {
      isRevoked = true;
    },
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
