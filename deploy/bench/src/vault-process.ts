// A vault's byte side in a process of its own, on a repository that exists. Prints where it is and a ticket, and, once its
// standard input ends, what it took.
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { BENCH_PASSPHRASE } from "@stillpoint/repository/bench/bench-passphrase";
import { openRepository } from "@stillpoint/repository/repository";
import { createVaultServer } from "@stillpoint/vault/http";
import { resultStore } from "@stillpoint/vault/results";
import { mintTicket } from "@stillpoint/vault/tickets";

const RUN = "018f0000-0000-7000-8000-000000000000";
const [url = "", ...backups] = process.argv.slice(2);
const scratch = await mkdtemp(join(tmpdir(), "stillpoint-bench-vault-"));
await using store = await openObjectStore(url, { environment: process.env });
await using repository = await openRepository(store, { passphrase: BENCH_PASSPHRASE });
const ticketKey = repository.deriveKey("ticket");
const server = createVaultServer({
  repository,
  results: resultStore(scratch),
  ticketKey,
  now: Date.now,
  stored: async () => undefined,
  log: (message, fields) => process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo; // it listens on TCP
const expiresAt = Date.now() + 3_600_000;
const capture = { purpose: "capture", runId: RUN, plan: "bench", source: "set", kind: "files", fenceToken: 1 } as const;
process.stdout.write(
  `${JSON.stringify({
    vaultUrl: `http://127.0.0.1:${port}`,
    put: mintTicket(ticketKey, capture, expiresAt),
    get: mintTicket(ticketKey, { purpose: "restore", pointId: RUN, backups }, expiresAt),
  })}\n`,
);
process.stdin.resume();
await once(process.stdin, "end");
server.closeAllConnections();
await new Promise((resolve) => server.close(resolve));
await rm(scratch, { recursive: true });
const { user, system } = process.cpuUsage();
process.stdout.write(
  `${JSON.stringify({ cpuMs: (user + system) / 1000, stageCpuMs: repository.stageCpuMs(), peakRssMiB: process.resourceUsage().maxRSS / 1024 })}\n`,
);
