import { execFile } from "node:child_process";
import { hash } from "node:crypto";
import { cp, mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { constants, zstdCompressSync } from "node:zlib";
import type { PostgresPart } from "@stillpoint/parts/postgres-part";
import { startPostgres } from "@stillpoint/parts/postgres-server";
import type { SetFile } from "@stillpoint/repository/bench/mixed-set";

const PAGE = 8192;
/** What pgbench fills for one unit of scale. */
const SCALE_BYTES = 15_600_000;
/** Pages that are compressed together where nothing else is known of them. */
const PAGES_TOGETHER = 16;

const run = promisify(execFile);

/** A cluster that pgbench filled and changes, and a copy of its stopped data directory for all tools to back up. */
export type PostgresSet = {
  fill(bytes: number): Promise<void>;
  change(transactions: number): Promise<void>;
  /** Reads every row, which notes in the pages which transactions ended. */
  scan(): Promise<void>;
  /** Brings the copy up to the cluster: all but the log, which changes with everything. */
  copyTo(root: string): Promise<SetFile[]>;
};

export function postgresSet(part: PostgresPart, dir: string): PostgresSet {
  let dataDirectory = "";
  async function withServer(work: (call: (program: string, args: string[]) => Promise<unknown>) => Promise<void>) {
    await using server = await startPostgres({
      part,
      dir,
      settings: { fsync: "off", synchronous_commit: "off", autovacuum: "off", max_wal_size: "4GB" },
    });
    dataDirectory = server.dataDirectory;
    const env = {
      ...process.env,
      PGHOST: server.host,
      PGPORT: String(server.port),
      PGUSER: server.user,
      PGPASSWORD: server.password,
    };
    await work((program, args) => run(join(server.binDirectory, program), args, { env, maxBuffer: 64 * 1024 * 1024 }));
  }
  return {
    fill: (bytes) =>
      withServer(async (call) => {
        const scale = String(Math.max(1, Math.round(bytes / SCALE_BYTES)));
        await call("pgbench", ["-i", "-q", "-s", scale, "postgres"]);
      }),
    change: (transactions) =>
      withServer(async (call) => {
        await call("pgbench", ["-n", "-c", "2", "-t", String(Math.ceil(transactions / 2)), "postgres"]);
      }),
    scan: () =>
      withServer(async (call) => {
        await call("psql", ["-q", "-c", "select count(*) from pgbench_accounts", "postgres"]);
      }),
    async copyTo(root) {
      await rm(root, { recursive: true, force: true });
      await mkdir(root, { recursive: true });
      await cp(dataDirectory, root, {
        recursive: true,
        filter: (source) => !/\/(pg_wal\/.+|postmaster\.pid|.*\.log)$/.test(source),
      });
      return await filesOf(root);
    },
  };
}

async function filesOf(root: string): Promise<SetFile[]> {
  const files: SetFile[] = [];
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const { size } = await stat(path);
    const isRelation = /\/(base|global)\/([^/]+\/)?\d+(_\w+)?(\.\d+)?$/.test(path) && size % PAGE === 0;
    files.push({ path: path.slice(root.length + 1), size, hint: isRelation ? `page:${PAGE}` : "content" });
  }
  return files;
}

/** SHA-256 of every page of a set, by file. */
export type PageSums = ReadonlyMap<string, Buffer>;

export type Changed = { pages: number; ofPages: number; packedBytes: number };

/** The sums of all pages, and what differs from earlier ones: how many pages, and how long these are when compressed alone. */
export async function pageSums(
  root: string,
  files: readonly SetFile[],
  before?: PageSums,
): Promise<{ sums: PageSums; changed: Changed }> {
  const sums = new Map<string, Buffer>();
  const changed: Changed = { pages: 0, ofPages: 0, packedBytes: 0 };
  let together: Buffer[] = [];
  const flush = () => {
    const level = { [constants.ZSTD_c_compressionLevel]: 1 };
    if (together.length > 0) changed.packedBytes += zstdCompressSync(Buffer.concat(together), { params: level }).length;
    together = [];
  };
  for (const { path, size, hint } of files) {
    if (!hint.startsWith("page:") || size === 0) continue;
    await using file = await open(join(root, path), "r");
    const known = before?.get(path);
    const mine = Buffer.alloc((size / PAGE) * 32);
    for (let at = 0; at < size; at += 1 << 20) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(1 << 20, size - at)), 0, undefined, at);
      for (let page = 0; page * PAGE < bytesRead; page++) {
        const bytes = buffer.subarray(page * PAGE, (page + 1) * PAGE);
        const slot = (at / PAGE + page) * 32;
        mine.set(hash("sha256", bytes, "buffer"), slot);
        changed.ofPages++;
        const isSame =
          known !== undefined &&
          known.length >= slot + 32 &&
          known.compare(mine, slot, slot + 32, slot, slot + 32) === 0;
        if (before === undefined || isSame) continue;
        changed.pages++;
        together.push(Buffer.from(bytes));
        if (together.length === PAGES_TOGETHER) flush();
      }
    }
    sums.set(path, mine);
  }
  flush();
  return { sums, changed };
}
