import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

type Answer = { at: URL; key: string; headers: Record<string, string | string[] | undefined> };

/**
 * S3 as far as listing and reading go, over a map: it takes every key that Amazon's does, which servers over a file system do
 * not, and breaks a connection off when it is told to.
 */
export async function objectStandIn(objects: Map<string, Buffer>) {
  const state = { pageSize: 3, breakAfter: undefined as number | undefined, broken: 0 };

  function list(at: URL, response: ServerResponse): void {
    const prefix = at.searchParams.get("prefix") ?? "";
    const after = at.searchParams.get("continuation-token");
    const keys = [...objects.keys()]
      .filter((key) => key.startsWith(prefix))
      .sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
    const from = after === null ? 0 : Number(after);
    const page = keys.slice(from, from + state.pageSize);
    const encoded = (key: string) => encodeURIComponent(key).replaceAll("%20", "+").replaceAll("'", "%27");
    const contents = page.map((key) => {
      const bytes = objects.get(key) ?? Buffer.alloc(0);
      return `<Contents><Key>${encoded(key)}</Key><Size>${bytes.length}</Size><ETag>${etagOf(bytes)}</ETag><LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>`;
    });
    const isTruncated = from + page.length < keys.length;
    response.end(
      `<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>${isTruncated}</IsTruncated>${
        isTruncated ? `<NextContinuationToken>${from + page.length}</NextContinuationToken>` : ""
      }${contents.join("")}</ListBucketResult>`,
    );
  }

  function read({ key, headers }: Answer, response: ServerResponse): void {
    const bytes = objects.get(key);
    if (bytes === undefined) {
      response.writeHead(404).end("<Error><Code>NoSuchKey</Code></Error>");
      return;
    }
    const wanted = headers["if-match"];
    if (wanted !== undefined && wanted !== etagOf(bytes)) {
      response.writeHead(412).end("<Error><Code>PreconditionFailed</Code></Error>");
      return;
    }
    const offset = Number(/^bytes=(\d+)-/.exec(String(headers.range))?.[1] ?? 0);
    const body = bytes.subarray(offset);
    response.writeHead(offset === 0 ? 200 : 206, {
      etag: etagOf(bytes),
      "content-length": body.length,
      "last-modified": "Fri, 02 Jan 2026 03:04:05 GMT",
    });
    if (state.breakAfter === undefined || body.length <= state.breakAfter) {
      response.end(body);
      return;
    }
    state.broken += 1;
    response.write(body.subarray(0, state.breakAfter), () => response.socket?.destroy());
  }

  const server = createServer((request, response) => {
    const at = new URL(request.url ?? "", "http://stand-in");
    // The path is taken as it was sent: `..` in it is a part of the key.
    const [path = ""] = (request.url ?? "").split("?");
    const key = decodeURIComponent(path.replace(/^\/bucket\/?/, ""));
    if (at.searchParams.has("versioning")) response.end("<VersioningConfiguration></VersioningConfiguration>");
    else if (at.searchParams.has("list-type")) list(at, response);
    else read({ at, key, headers: request.headers }, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // a TCP server's address is an object
  return {
    state,
    url: `s3://bucket?endpoint=http://127.0.0.1:${port}`,
    access: { accessKeyId: "any", secretAccessKey: "any" },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const etagOf = (bytes: Buffer) => `"${createHash("md5").update(bytes).digest("hex")}"`;
