import type { vaultList } from "@stillpoint/contracts/vault";
import type { Repository } from "@stillpoint/repository/repository";
import type { z } from "zod";

type Asked = z.output<typeof vaultList.body>;
type Page = z.input<typeof vaultList.reply>;

/** One page of what the repository holds, in the order of ids, which is that of time. */
export async function listPage(repository: Repository, asked: Asked): Promise<Page> {
  switch (asked.what) {
    case "points":
      return pageOf("points", repository.points(), (point) => point.pointId, asked);
    case "proofs":
      return pageOf("proofs", repository.proofs(), (proof) => proof.proofId, asked);
    case "backups":
      return pageOf("backups", repository.backups(), (backup) => backup.backupId, asked);
  }
}

async function pageOf<What extends "points" | "proofs" | "backups", Item>(
  what: What,
  items: AsyncIterable<Item>,
  idOf: (item: Item) => string,
  asked: Asked,
) {
  const page: Item[] = [];
  for await (const item of items) {
    if (asked.after !== undefined && idOf(item) <= asked.after) continue;
    if (page.length === asked.limit) return { [what]: page, next: idOf(page[page.length - 1] as Item) };
    page.push(item);
  }
  return { [what]: page };
}
