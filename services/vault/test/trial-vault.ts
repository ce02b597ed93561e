import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { vaultClient } from "@stillpoint/agent/vault-client";
import { Secret } from "@stillpoint/contracts/secret";
import type { TicketClaims } from "@stillpoint/contracts/vault";
import { withFaults } from "@stillpoint/object-store/faults";
import { memoryStore } from "@stillpoint/object-store/memory";
import { initRepository } from "@stillpoint/repository/init-repository";
import { openRepository } from "@stillpoint/repository/repository";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { createVaultServer } from "../src/http.ts";
import { resultStore } from "../src/results.ts";
import { mintTicket } from "../src/tickets.ts";

/** The vault's HTTP side on a repository in memory. */
export async function startTrialVault() {
  const stack = new AsyncDisposableStack();
  const memory = memoryStore(Date.now);
  const faulty = withFaults(memory);
  const passphrase = new Secret("correct horse");
  const scryptCost = { n: 1024, r: 8, p: 1 };
  await initRepository(memory, { passphrase, random: (count) => randomBytes(count), now: Date.now, scryptCost });
  const repository = stack.use(await openRepository(faulty.store, { passphrase, threads: 1 }));
  const key = repository.deriveKey("ticket");
  const directory = stack.use(await temporaryDirectory("vault"));
  const server = createVaultServer({
    repository,
    results: resultStore(join(directory.path, "results")),
    ticketKey: key,
    now: Date.now,
    stored: async () => undefined,
    log: () => undefined,
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stack.defer(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  const address = (claims: TicketClaims) => ({
    vaultUrl: `http://127.0.0.1:${port}`,
    ticket: mintTicket(key, claims, Date.now() + 60_000),
  });
  const client = (claims: TicketClaims) => {
    const { vaultUrl, ticket } = address(claims);
    return vaultClient(vaultUrl, ticket, AbortSignal.timeout(90_000));
  };
  return { faulty, memory, address, client, repository, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
