import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { backupSender } from "@stillpoint/agent/send-backup";
import { slots } from "@stillpoint/agent/slots";
import type { TicketClaims } from "@stillpoint/contracts/vault";
import { listTar } from "@stillpoint/driver/extract";
import type { Earlier, TreeWriter } from "@stillpoint/driver/tree";
import { expect, it } from "vitest";
import { earlierBackups, withEarlier } from "../src/earlier-backups.ts";
import { startTrialVault } from "./trial-vault.ts";

const RUN = "01900000-0000-7000-8000-00000000000";
const capture = (run: number, earlier?: string[]) => ({
  purpose: "capture" as const,
  runId: `${RUN}${run}`,
  plan: "shop",
  source: "uploads",
  kind: "files" as const,
  fenceToken: 3,
  ...(earlier === undefined ? {} : { earlier }),
});
const body = Buffer.alloc(5_000, 7);
const state = { path: "a", size: body.length, mtimeMs: 1_700_000_000_123, identity: "1-2" };
const bodies = () => Readable.from([body]);

function sender(run: number) {
  return backupSender({
    runId: `${RUN}${run}`,
    source: "uploads",
    fenceToken: 3,
    signal: AbortSignal.timeout(90_000),
    streams: slots(1),
    usesEarlier: true,
    pausesMs: [0, 0],
    report: () => undefined,
  });
}

/** A driver's base: what is unchanged where there is something to compare with, else everything. */
async function write(asked: (string | undefined)[], tree: TreeWriter, earlier?: Earlier): Promise<void> {
  if (earlier === undefined || tree.addBodiless === undefined) {
    asked.push(undefined);
    await tree.add({ type: "file", ...state, mode: 0o600, hint: "content" }, bodies());
    return;
  }
  asked.push("earlier");
  await tree.addBodiless([{ type: "unchanged", ...state }]);
}

it("what did not change is taken over by the ticket's word; where that cannot be, it is sent in full at once", async () => {
  await using vault = await startTrialVault();
  const send = async (claims: TicketClaims & { purpose: "capture" }, run: number) => {
    const asked: (string | undefined)[] = [];
    const progress = { doing: "base", bytes: 0 };
    const figures = await sender(run)("base", "full", vault.address(claims), (...to) => write(asked, ...to), progress);
    return { figures, asked };
  };
  const first = await send(capture(1), 1);
  expect(first.asked).toEqual([undefined]);
  const { backupId } = first.figures;

  const second = await send(capture(2, [backupId]), 2);
  expect(second.asked).toEqual(["earlier"]);
  expect(second.figures).toMatchObject({ bytes: body.length, storedBytes: 0, files: 1 });
  const restore = vault.client({ purpose: "restore", pointId: `${RUN}2`, backups: [second.figures.backupId] });
  expect(await listTar(restore.getBackup(second.figures.backupId))).toMatchObject({ files: 1, bytes: body.length });

  const gone = await send(capture(3, [`${RUN}9_uploads_3_base1`]), 3);
  expect(gone.asked).toEqual(["earlier", undefined]);
  expect(gone.figures).toMatchObject({ backupId: `${RUN}3_uploads_3_base2`, files: 1 });
});

it("a ticket lets read and take over what it names, and nothing else", async () => {
  await using vault = await startTrialVault();
  const progress = { doing: "base", bytes: 0 };
  const { backupId } = await sender(1)("base", "full", vault.address(capture(1)), (tree) => write([], tree), progress);
  const stranger = vault.client(capture(2));
  expect(await stranger.earlier()).toEqual([]);
  await expect(text(Readable.from(stranger.getBackup(backupId)))).rejects.toMatchObject({ code: "TICKET_INVALID" });
  const put = stranger.putBackup(`${RUN}2_uploads_3_base1`, "full", Readable.from([]), backupId);
  await expect(put).rejects.toMatchObject({ code: "TICKET_INVALID" });
  const named = vault.client(capture(2, [backupId]));
  expect(await named.earlier()).toEqual([backupId]);
  expect(await listTar(named.getBackup(backupId, "a"))).toMatchObject({ files: 1 });
});

it("the vault alone says what was there before: what it sealed last, else the plan's last usual point, and no asker", async () => {
  const at = (backups: string[]) => ({ plan: "shop", sources: [{ source: "uploads", backups }] });
  const points: Record<string, unknown> = { p1: at(["b1"]), p2: at(["b2"]) };
  const noted = { points: ["p1"], last: undefined as string | undefined };
  const earlier = earlierBackups(
    { point: async (id: string) => points[id] as never }, // the parts that are looked at
    { get: async (plan: string) => (plan === "shop" ? ({ value: noted } as never) : undefined) },
  );
  const asked = capture(1, ["of-another"]);
  expect(await withEarlier(asked, earlier)).toEqual(capture(1, ["b1"]));
  noted.last = "p2";
  expect(await withEarlier(asked, earlier)).toEqual(capture(1, ["b2"]));
  earlier.sealed(at(["b3", "b4"]) as never); // the parts that are looked at
  expect(await withEarlier(asked, earlier)).toEqual(capture(1, ["b3", "b4"]));
  expect(await withEarlier({ ...asked, plan: "other" }, earlier)).toEqual({ ...capture(1), plan: "other" });
  expect(await withEarlier({ ...asked, kind: "postgres" }, earlier)).toEqual({ ...capture(1), kind: "postgres" });
});
