import { StillpointError } from "@stillpoint/contracts/errors";
import { GAP_ID_PREFIX, gapId, type LogGap, logGap } from "@stillpoint/contracts/log";
import type { z } from "zod";
import { getDocument, listIds, putDocument } from "../documents-store.ts";
import { objectDamaged } from "../format/damage.ts";
import { record } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import type { RepositoryContext } from "../repository-context.ts";

/** The gap that a record of such an id tells of. Of what else is recorded as one (`isGapId` false) nothing is known. */
export function gapOf({ recordId, type, detail }: z.output<typeof record>): LogGap {
  const gap = logGap.safeParse(detail);
  if (type === "gap" && gap.success && gapId(gap.data) === recordId) return gap.data;
  throw objectDamaged(objectName("records", recordId), "it says nothing of a gap, or of another than its id");
}

export function isGapId(recordId: string): boolean {
  return recordId.startsWith(GAP_ID_PREFIX);
}

type GapContext = Pick<RepositoryContext, "store" | "ring" | "random">;

async function readGap(context: GapContext, recordId: string, signal?: AbortSignal): Promise<LogGap | undefined> {
  const found = await getDocument(context, "records", recordId, record, signal);
  return found === undefined ? undefined : gapOf(found.document);
}

/** Seals a hole in a source's log as a record. The same hole told twice is one, and answers with the first. */
export async function sealGap(context: GapContext, gap: LogGap, signal?: AbortSignal): Promise<LogGap> {
  const recordId = gapId(gap);
  const document = { recordId, type: "gap", at: gap.at, detail: gap };
  if (await putDocument(context, "records", recordId, document, signal)) return gap;
  const there = await readGap(context, recordId, signal);
  if (there !== undefined) return there;
  throw new StillpointError("OBJECT_MISSING", {
    what: "Cannot record a gap",
    where: objectName("records", recordId),
    why: "the object store says that it is there, and does not give it",
  });
}

/** Every gap that was recorded; each is read once, for none ever changes. */
export function recordedGaps() {
  const known = new Map<string, LogGap>();
  return {
    async read(context: GapContext, signal?: AbortSignal): Promise<LogGap[]> {
      const gaps: LogGap[] = [];
      for await (const recordId of listIds(context, "records", { within: GAP_ID_PREFIX, signal })) {
        const gap = known.get(recordId) ?? (await readGap(context, recordId, signal));
        if (gap === undefined) continue;
        known.set(recordId, gap);
        gaps.push(gap);
      }
      return gaps;
    },
  };
}
