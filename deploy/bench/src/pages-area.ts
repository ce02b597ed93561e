import { createCipheriv, createHash, createHmac, hash } from "node:crypto";
import { chmod, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensurePostgres } from "@stillpoint/parts/postgres-part";
import { type Figure, figure } from "@stillpoint/repository/bench/figure";
import type { SetFile } from "@stillpoint/repository/bench/mixed-set";
import type { Area } from "./area.ts";
import { postgresSet } from "./postgres-set.ts";

const PARTS = fileURLToPath(new URL("../../../.stillpoint/parts", import.meta.url));
const PAGE = 8192;
const BLOCK = 1 << 20;
const ROUNDS = 3;

/** What each way of telling pages apart costs: the best of some rounds over the same bytes, in one thread. */
function hashing(bytes: Buffer): Figure[] {
  const key = Buffer.alloc(32, 7);
  const perPage = (of: (page: Buffer) => void) => () => {
    for (let at = 0; at < bytes.length; at += PAGE) of(bytes.subarray(at, at + PAGE));
  };
  const ways: Record<string, () => void> = {
    "SHA-256 of each page": perPage((page) => void hash("sha256", page, "buffer")),
    "GMAC of each page": perPage((page) => {
      const mac = createCipheriv("aes-256-gcm", key, Buffer.alloc(12)).setAAD(page);
      mac.final();
      mac.getAuthTag();
    }),
    "HMAC-SHA-256 of each block of 1 MiB": () => {
      for (let at = 0; at < bytes.length; at += BLOCK)
        createHmac("sha256", key)
          .update(bytes.subarray(at, at + BLOCK))
          .digest();
    },
  };
  return Object.entries(ways).map(([name, way]) => {
    way();
    const times = Array.from({ length: ROUNDS }, () => {
      const begun = performance.now();
      way();
      return performance.now() - begun;
    });
    return figure(name, bytes.length / 1000 / Math.min(...times), "MB/s");
  });
}

type Pages = Map<string, { lsn: string; sum: string }>;

async function pagesOf(root: string, files: readonly SetFile[]): Promise<Pages> {
  const pages: Pages = new Map();
  for (const { path, size, hint } of files) {
    if (!hint.startsWith("page:")) continue;
    await using file = await open(join(root, path), "r");
    for (let at = 0; at < size; at += PAGE) {
      const { buffer } = await file.read(Buffer.alloc(PAGE), 0, PAGE, at);
      const sum = createHash("sha256").update(buffer).digest("base64");
      pages.set(`${path} ${at}`, { lsn: buffer.toString("hex", 0, 8), sum });
    }
  }
  return pages;
}

/** How often a page's log position tells that it changed: what was missed is not in the backup. */
export const pages: Area = async ({ megabytes, log }) => {
  const part = await ensurePostgres({ directory: PARTS, log });
  const base = await mkdtemp(join(tmpdir(), "stillpoint-bench-"));
  try {
    await chmod(base, 0o711); // the database server runs as an account of its own, which passes through
    const cluster = postgresSet(part, join(base, "cluster"));
    log(`filling a cluster with ${megabytes / 4} MB, and changing it`);
    await cluster.fill((megabytes * 1e6) / 4);
    const root = join(base, "copy");
    const before = await pagesOf(root, await cluster.copyTo(root));
    await cluster.change(Math.ceil(before.size / 20));
    await cluster.scan();
    const after = await pagesOf(root, await cluster.copyTo(root));
    let changed = 0;
    let unseen = 0;
    for (const [page, { lsn, sum }] of after) {
      const old = before.get(page);
      if (old === undefined || old.sum === sum) continue;
      changed++;
      if (old.lsn === lsn) unseen++;
    }
    const [largest] = [...(await cluster.copyTo(root))].sort((a, b) => b.size - a.size);
    await using file = await open(join(root, largest?.path ?? ""), "r");
    const { buffer, bytesRead } = await file.read(Buffer.alloc(64 * BLOCK), 0, 64 * BLOCK, 0);
    return [
      ...hashing(buffer.subarray(0, bytesRead - (bytesRead % BLOCK))),
      figure("pages that changed", changed, "pages"),
      figure("of them with the same log position", (100 * unseen) / Math.max(1, changed), "%"),
    ];
  } finally {
    await rm(base, { recursive: true });
  }
};
