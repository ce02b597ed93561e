import { fromGcsAnswer, fromGcsFailure } from "./gcs-errors.ts";
import { type HttpAnswer, httpCall } from "./http-call.ts";
import type { Agents } from "./network.ts";
import { objectMissing } from "./object-errors.ts";

export type GcsRequest = {
  method?: string;
  /** Below the endpoint: `storage/v1/b/…`. */
  path: string;
  query?: Record<string, string | undefined>;
  headers?: Record<string, string>;
  json?: unknown;
  body?: readonly Uint8Array[];
  /** Statuses that the caller judges, beside the good ones. */
  expected?: readonly number[];
  signal?: AbortSignal | undefined;
  /** For people, in errors. */
  what: string;
  name: string;
};

export type GcsClient = {
  request(asked: GcsRequest): Promise<HttpAnswer>;
  /** OBJECT_MISSING, or BUCKET_MISSING where that is the reason: a 404 alone does not tell. */
  missing(name: string, what: string, signal?: AbortSignal): Promise<Error>;
  objectPath(name: string): string;
  where(name: string): string;
};

export type GcsClientOptions = {
  endpoint: string;
  bucket: string;
  prefix: string;
  agents: Agents;
  /** Absent: requests carry no credentials, as emulators want it. */
  authorization?: (() => Promise<string>) | undefined;
};

/** The JSON API over this target's own connections, with Google's failures in our words. */
export function gcsClient(options: GcsClientOptions): GcsClient {
  const { bucket, prefix, agents, authorization } = options;
  const where = (name: string) => `gs://${bucket}/${prefix}${name}`;

  async function request(asked: GcsRequest): Promise<HttpAnswer> {
    const url = new URL(asked.path, `${options.endpoint.replace(/\/$/, "")}/`);
    for (const [key, value] of Object.entries(asked.query ?? {}))
      if (value !== undefined) url.searchParams.set(key, value);
    const body = asked.json === undefined ? asked.body : [Buffer.from(JSON.stringify(asked.json))];
    try {
      const headers = {
        ...(asked.json === undefined ? {} : { "content-type": "application/json" }),
        ...asked.headers,
        ...(authorization === undefined ? {} : { authorization: await authorization() }),
      };
      const { method = "GET", signal } = asked;
      const answer = await httpCall(agents, { method, url, headers, ...(body === undefined ? {} : { body }), signal });
      if (answer.status < 300 || asked.expected?.includes(answer.status)) return answer;
      throw fromGcsAnswer(answer, asked.what, where(asked.name));
    } catch (error) {
      throw fromGcsFailure(error, asked.what, where(asked.name));
    }
  }

  return {
    request,
    where,
    objectPath: (name) => `storage/v1/b/${encodeURIComponent(bucket)}/o/${encodeURIComponent(prefix + name)}`,
    async missing(name, what, signal) {
      const path = `storage/v1/b/${encodeURIComponent(bucket)}/o`;
      const query = { maxResults: "1", prefix, fields: "nextPageToken" };
      const answer = await request({ path, query, expected: [404], signal, what, name });
      return answer.status === 404 ? fromGcsAnswer(answer, what, where(name), "BUCKET_MISSING") : objectMissing(name);
    },
  };
}
