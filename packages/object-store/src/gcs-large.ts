import { StillpointError } from "@stillpoint/contracts/errors";
import type { GcsClient } from "./gcs-client.ts";
import { type LargeObjects, partBytes } from "./large-objects.ts";
import { objectExists } from "./object-errors.ts";
import { assertObjectName } from "./object-name.ts";

/** The last byte that a session has, by its answer `bytes=0-…`; none where it has nothing. */
function reached(range: string | string[] | undefined): number {
  const last = typeof range === "string" ? /-(\d+)$/.exec(range)?.[1] : undefined;
  return last === undefined ? 0 : Number(last) + 1;
}

/** A resumable upload. Its last part ends it, so one is held back; Google forgets a session after a week. */
export function gcsLarge(gcs: GcsClient, bucket: string, keyOf: (name: string) => string): LargeObjects {
  const what = "Cannot write an object";
  return {
    partBytes,
    async begin(name, signal) {
      assertObjectName(name);
      const opened = await gcs.request({
        method: "POST",
        path: `upload/storage/v1/b/${encodeURIComponent(bucket)}/o`,
        query: { uploadType: "resumable", name: keyOf(name), ifGenerationMatch: "0" },
        json: {},
        expected: [404, 412],
        signal,
        what,
        name,
      });
      if (opened.status === 412) throw objectExists(name);
      if (opened.status === 404) throw await gcs.missing(name, what, signal);
      const session = opened.headers.location;
      if (session === undefined)
        throw new StillpointError("STORE_UNREACHABLE", {
          what,
          where: gcs.where(name),
          why: "the answer names no upload",
        });
      const put = (range: string, body: readonly Uint8Array[]) =>
        gcs.request({
          method: "PUT",
          path: session,
          headers: { "content-range": range, ...(body.length === 0 ? { "content-length": "0" } : {}) },
          body,
          expected: [308, 412],
          signal,
          what,
          name,
        });
      let held: Uint8Array | undefined;
      let sent = 0;
      let isUnsure = false;
      /** What of it the session does not have yet: a try before this one may have got through in part. */
      const rest = async (part: Uint8Array): Promise<Uint8Array> => {
        if (!isUnsure) return part;
        const { status, headers } = await put("bytes */*", []);
        isUnsure = false;
        return status === 308 ? part.subarray(Math.max(0, reached(headers.range) - sent)) : part.subarray(part.length);
      };
      const send = async (part: Uint8Array, isLast: boolean) => {
        let left = await rest(part);
        const end = sent + part.length;
        while (left.length > 0 || (isLast && part.length === 0)) {
          const from = end - left.length;
          isUnsure = true;
          const span = left.length === 0 ? "*" : `${from}-${end - 1}`;
          const { status, headers } = await put(`bytes ${span}/${isLast ? end : "*"}`, left.length === 0 ? [] : [left]);
          isUnsure = false;
          if (status === 412) throw objectExists(name);
          if (status !== 308) break;
          left = part.subarray(Math.max(0, reached(headers.range) - sent));
        }
        sent = end;
      };
      return {
        async write(part) {
          if (held !== undefined) await send(held, false);
          held = part;
        },
        finish: () => send(held ?? new Uint8Array(0), true),
        async abandon() {
          // 499 is how the API says that it is cancelled.
          await gcs.request({ method: "DELETE", path: session, expected: [404, 410, 499], what, name });
        },
      };
    },
  };
}
