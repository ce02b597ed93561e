import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { z } from "zod";

const context = z.record(z.string(), z.string()).default({});
const encrypt = z.object({ KeyId: z.string(), Plaintext: z.base64(), EncryptionContext: context });
const decrypt = z.object({ KeyId: z.string().optional(), CiphertextBlob: z.base64(), EncryptionContext: context });

/** What KMS answers instead of doing what it is asked. */
export type KmsFailure = "AccessDeniedException" | "DisabledException" | "KMSInternalException" | "ThrottlingException";

export type KmsStandIn = AsyncDisposable & {
  endpoint: string;
  accessKeyId: string;
  /** What a program needs in its environment to reach it. */
  environment: Readonly<Record<string, string>>;
  createKey(): string;
  /** Until it is called with undefined. */
  fail(failure: KmsFailure | undefined): void;
  /** Operations that were carried out, with the context that they came with. */
  audit: { operation: string; keyArn: string; context: Record<string, string> }[];
};

class KmsError extends Error {
  readonly type: string;
  readonly status: number;
  constructor(type: string, message: string, status = 400) {
    super(message);
    this.type = type;
    this.status = status;
  }
}

/** As KMS binds it: the same pairs in any order are the same context. */
function bound(pairs: Record<string, string>): Buffer {
  return Buffer.from(JSON.stringify(Object.entries(pairs).sort(([a], [b]) => (a < b ? -1 : 1))));
}

/**
 * AWS KMS on this machine: the HTTP API of Encrypt and Decrypt, with AES-256-GCM under keys that never leave it, and AWS's own
 * error shapes. A request must be signed in version 4 by the access key that was given out; the signature itself is not computed.
 */
export async function startKmsStandIn(): Promise<KmsStandIn> {
  const keys = new Map<string, Buffer>();
  const accessKeyId = `AKIA${randomBytes(8).toString("hex").toUpperCase()}`;
  const audit: KmsStandIn["audit"] = [];
  let failure: KmsFailure | undefined;

  function keyOf(id: string): [string, Buffer] {
    const found = [...keys].find(([arn]) => arn === id || arn.endsWith(`/${id}`));
    if (found === undefined) throw new KmsError("NotFoundException", `Key '${id}' does not exist`);
    return found;
  }

  function carryOut(operation: string, body: unknown): unknown {
    if (operation === "Encrypt") {
      const asked = encrypt.parse(body);
      const [keyArn, key] = keyOf(asked.KeyId);
      const nonce = randomBytes(12);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(bound(asked.EncryptionContext));
      const sealed = Buffer.concat([cipher.update(asked.Plaintext, "base64"), cipher.final()]);
      const blob = Buffer.concat([Buffer.from(`${keyArn}\n`), nonce, cipher.getAuthTag(), sealed]);
      audit.push({ operation, keyArn, context: asked.EncryptionContext });
      return { CiphertextBlob: blob.toString("base64"), KeyId: keyArn, EncryptionAlgorithm: "SYMMETRIC_DEFAULT" };
    }
    const asked = decrypt.parse(body);
    const blob = Buffer.from(asked.CiphertextBlob, "base64");
    const at = blob.indexOf("\n");
    const madeBy = blob.subarray(0, Math.max(0, at)).toString();
    const key = keys.get(madeBy);
    if (key === undefined) throw new KmsError("InvalidCiphertextException", "");
    if (asked.KeyId !== undefined && keyOf(asked.KeyId)[0] !== madeBy)
      throw new KmsError(
        "IncorrectKeyException",
        "The key ID in the request does not identify a CMK that can perform this operation.",
      );
    const sealed = blob.subarray(at + 1);
    const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12), { authTagLength: 16 });
    decipher.setAAD(bound(asked.EncryptionContext)).setAuthTag(sealed.subarray(12, 28));
    try {
      const plain = Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]);
      audit.push({ operation, keyArn: madeBy, context: asked.EncryptionContext });
      return { Plaintext: plain.toString("base64"), KeyId: madeBy, EncryptionAlgorithm: "SYMMETRIC_DEFAULT" };
    } catch {
      throw new KmsError("InvalidCiphertextException", "");
    }
  }

  async function answer(request: IncomingMessage): Promise<unknown> {
    const body = await text(request);
    const authorization = request.headers.authorization ?? "";
    const signed =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/\d{8}\/[^/]+\/kms\/aws4_request, SignedHeaders=[^,]*host[^,]*, Signature=[0-9a-f]{64}$/;
    const signer = signed.exec(authorization)?.[1];
    if (signer === undefined)
      throw new KmsError("MissingAuthenticationTokenException", "Missing Authentication Token", 403);
    if (signer !== accessKeyId)
      throw new KmsError("UnrecognizedClientException", "The security token included in the request is invalid.");
    const operation = /^TrentService\.(Encrypt|Decrypt)$/.exec(String(request.headers["x-amz-target"]))?.[1];
    if (operation === undefined) throw new KmsError("UnknownOperationException", "");
    if (failure !== undefined) {
      const message =
        failure === "DisabledException"
          ? `${[...keys.keys()][0]} is disabled.`
          : `User is not authorized to perform: kms:${operation}`;
      throw new KmsError(failure, message, failure === "KMSInternalException" ? 500 : 400);
    }
    return carryOut(operation, JSON.parse(body));
  }

  const send = (response: ServerResponse, status: number, body: unknown) => {
    response.writeHead(status, { "content-type": "application/x-amz-json-1.1", "x-amzn-requestid": randomUUID() });
    response.end(JSON.stringify(body));
  };
  const server = createServer((request, response) => {
    answer(request).then(
      (body) => send(response, 200, body),
      (error: unknown) => {
        if (error instanceof KmsError) send(response, error.status, { __type: error.type, message: error.message });
        else send(response, 400, { __type: "ValidationException", message: String(error) });
      },
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const endpoint = `http://127.0.0.1:${port}`;
  return {
    endpoint,
    accessKeyId,
    environment: {
      AWS_ENDPOINT_URL_KMS: endpoint,
      AWS_REGION: "eu-central-1",
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: randomBytes(20).toString("hex"),
    },
    createKey() {
      const arn = `arn:aws:kms:eu-central-1:111122223333:key/${randomUUID()}`;
      keys.set(arn, randomBytes(32));
      return arn;
    },
    fail(next) {
      failure = next;
    },
    audit,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
