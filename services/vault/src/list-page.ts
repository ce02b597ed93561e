import type { vaultList } from "@stillpoint/contracts/vault";
import { proofKey } from "@stillpoint/repository/points";
import type { Repository } from "@stillpoint/repository/repository";
import type { z } from "zod";

type Asked = z.output<typeof vaultList.body>;
type Page = z.input<typeof vaultList.reply>;

/** One page of what the repository holds; what comes after an id is asked of the store, not read and left out. */
export async function listPage(repository: Repository, asked: Asked): Promise<Page> {
  const options = asked.after === undefined ? {} : { after: asked.after };
  switch (asked.what) {
    case "points": {
      const { page, next } = await take(repository.points(options), asked.limit, (point) => point.pointId);
      return { points: page, ...next };
    }
    case "proofs": {
      const { page, next } = await take(repository.proofs(options), asked.limit, proofKey);
      return { proofs: page, ...next };
    }
    case "backups": {
      const { page, next } = await take(repository.backups(options), asked.limit, (backup) => backup.backupId);
      return { backups: page, ...next };
    }
  }
}

async function take<Item>(items: AsyncIterable<Item>, limit: number, idOf: (item: Item) => string) {
  const page: Item[] = [];
  for await (const item of items) {
    const last = page.at(-1);
    if (page.length === limit && last !== undefined) return { page, next: { next: idOf(last) } };
    page.push(item);
  }
  return { page, next: {} };
}
