import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Bucket } from "@stillpoint/bus/bucket";
import { StillpointError } from "@stillpoint/contracts/errors";
import { backupStored, pointSealed, proofSealed } from "@stillpoint/contracts/events";
import { toInstant, uuidv7 } from "@stillpoint/contracts/names";
import { BUCKETS } from "@stillpoint/contracts/topology";
import {
  type TicketClaims,
  vaultList,
  vaultPoint,
  vaultSeal,
  vaultSealProof,
  vaultStatus,
  vaultTicket,
} from "@stillpoint/contracts/vault";
import { GARBAGE_SETTINGS } from "@stillpoint/repository/garbage/settings";
import { openRepository } from "@stillpoint/repository/repository";
import { defineService } from "@stillpoint/service/define-service";
import { watchCaptures } from "./anomalies/watch-captures.ts";
import { answerLog } from "./answer-log.ts";
import { answerRetention } from "./answer-retention.ts";
import { vaultConfig } from "./config.ts";
import { earlierBackups, withEarlier } from "./earlier-backups.ts";
import { createVaultServer } from "./http.ts";
import { keyCare } from "./key-care.ts";
import { listPage } from "./list-page.ts";
import { answerLogTokens, tokenCheck } from "./log-tokens.ts";
import { takeTasks } from "./maintenance/take-tasks.ts";
import { startReplication } from "./replication/replication.ts";
import { vaultRoles } from "./replication/vault-roles.ts";
import { resultStore } from "./results.ts";
import { mintTicket } from "./tickets.ts";

/** A key is due in days; a key epoch that somebody began is to be known within the hour. */
const KEY_REVIEW_MS = 3_600_000;
const STALE = "the repository has a newer key epoch: restart this vault, which still writes under the one before";

const QUEUE = { queue: "vault" };

/** The only service that holds the repository's key and the object store's credentials. */
export const service = defineService({
  name: "vault",
  config: vaultConfig,
  async start(context, resources) {
    const { bus, config, clock, log } = context;
    const roles = await vaultRoles(context, resources);
    const { name: target, store, compression } = roles.primary;
    const keys = await keyCare(context, roles.primary);
    const owner = `vault-${uuidv7(clock.now(), context.random(10))}`;
    const replication = startReplication({
      roles,
      bus,
      clock,
      log,
      owner,
      registry: context.registry,
      everyMs: config.STILLPOINT_REPLICATE_EVERY_MS,
      graceMs: GARBAGE_SETTINGS.graceMs,
    });
    const repository = resources.use(
      await openRepository(store, {
        opener: keys.opener,
        compression,
        target,
        copies: roles.replicas.map((replica) => replica.store),
        fellBack: replication.fellBack,
        random: context.random,
        now: clock.now,
        index: {
          directory: join(config.STILLPOINT_VAULT_DIRECTORY, "chunk-index"),
          cacheBytes: config.STILLPOINT_INDEX_CACHE_MIB * 2 ** 20,
        },
      }),
    );
    replication.start(repository, resources);
    const lookAtKeys = async () => {
      const { epoch } = await keys.review();
      if (epoch > repository.epoch) log.error({ epoch, opened: repository.epoch }, STALE);
    };
    await lookAtKeys();
    resources.use(context.every(KEY_REVIEW_MS, lookAtKeys));
    const results = resultStore(join(config.STILLPOINT_VAULT_DIRECTORY, "results"));
    const ticketKey = repository.deriveKey("ticket");
    const leases = await bus.bucket(BUCKETS.leases);
    const earlier = earlierBackups(repository, await bus.bucket(BUCKETS.usual));

    const tokens = tokenCheck(repository, clock.now);
    const server = createVaultServer({
      repository,
      results,
      ticketKey,
      tokens,
      now: clock.now,
      stored: async (figures) => {
        await bus.publishEvent(backupStored, { backupId: figures.backupId }, { figures });
        replication.wake();
      },
      log: (message, fields) => log.warn(fields, message),
    });
    server.listen(config.STILLPOINT_VAULT_PORT, config.STILLPOINT_VAULT_HOST);
    await once(server, "listening");
    resources.defer(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    const { port } = server.address() as AddressInfo; // it listens on TCP
    const vaultUrl = config.STILLPOINT_VAULT_URL ?? `http://${config.STILLPOINT_VAULT_HOST}:${port}`;

    resources.use(
      await bus.answer(vaultTicket, QUEUE, async ({ body: claims }) => {
        await permit(claims, leases);
        const expiresAtMs = clock.now() + config.STILLPOINT_TICKET_MS;
        const known = await withEarlier(claims, earlier);
        return { vaultUrl, ticket: mintTicket(ticketKey, known, expiresAtMs), expiresAt: toInstant(expiresAtMs) };
      }),
    );
    resources.use(
      await bus.answer(vaultSeal, QUEUE, async ({ body }) => {
        const point = await repository.sealPoint({ ...body.point, sealedAt: toInstant(clock.now()) });
        // Told on every seal of it: the event of the first may have been lost with the process that was to send it.
        await bus.publishEvent(pointSealed, { pointId: point.pointId }, { point }, { key: point.pointId });
        earlier.sealed(point);
        replication.wake();
        return { point };
      }),
    );
    resources.use(
      await bus.answer(vaultSealProof, QUEUE, async ({ body }) => {
        const proof = await repository.sealProof(body.proof);
        await bus.publishEvent(proofSealed, { pointId: proof.pointId }, { proof }, { key: proof.proofId });
        await results.drop(proof.proofId);
        return { proof };
      }),
    );
    resources.use(
      await bus.answer(vaultPoint, QUEUE, async ({ body: { pointId } }) => {
        const point = await repository.point(pointId);
        if (point === undefined)
          throw new StillpointError("POINT_UNKNOWN", { what: "There is no such point", where: pointId });
        return { point, proofs: await repository.proofsOf(pointId) };
      }),
    );
    resources.use(await watchCaptures({ repository, bus, clock }));
    await answerLog({ repository, bus }, QUEUE, resources);
    const minter = { repository, bus, ticketKey, vaultUrl, now: clock.now, check: tokens };
    await answerLogTokens(minter, QUEUE, resources);
    await answerRetention({ repository, bus, clock }, QUEUE, resources);
    await takeTasks(
      { repository, store, targets: roles, bus, config, clock, log, keys, ackWaitMs: context.ackWaitMs, owner },
      resources,
    );
    resources.use(await bus.answer(vaultList, QUEUE, ({ body }) => listPage(repository, body)));
    resources.use(
      await bus.answer(vaultStatus, QUEUE, async () => ({
        repositoryId: repository.id,
        url: store.url,
        formatVersion: repository.formatVersion,
        vaultUrl,
      })),
    );
  },
});

/** A capture's ticket is for who owns the source now, a shipper's for who owns its log: who lost the lease gets none. */
async function permit(claims: TicketClaims, leases: Bucket<(typeof BUCKETS)["leases"]>): Promise<void> {
  if (claims.purpose === "push")
    throw new StillpointError("INVALID_REQUEST", {
      what: "A ticket is not a long-lived token",
      where: claims.source,
      hint: "stillpoint wal token",
    });
  if (claims.purpose !== "capture" && claims.purpose !== "ship") return;
  const lease = claims.purpose === "capture" && claims.beside ? "base" : claims.purpose;
  const held = await leases.get(`${lease}.${claims.plan}.${claims.source}`);
  if (held !== undefined && (held.value.fenceToken ?? held.revision) === claims.fenceToken) return;
  throw new StillpointError("LEASE_LOST", {
    what: "The session does not own the source any more",
    where: claims.source,
    why: held === undefined ? "its lease ran out" : "another session has it",
  });
}
