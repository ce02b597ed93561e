import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { VaultClient } from "@stillpoint/agent/vault-client";
import { maxRow, type StoreCheckRow, statementRow, storeCheckRow, valueRow } from "@stillpoint/contracts/query";
import type { z } from "zod";

/** Rows of results that the vault keeps, each parsed as it passes. */
export function answers(vault: VaultClient, proofId: string) {
  async function* rows<Row extends z.ZodType>(schema: Row, source: string, id: string): AsyncGenerator<z.output<Row>> {
    const bytes = Readable.from(vault.getResult(proofId, source, id));
    for await (const line of createInterface({ input: bytes, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (line !== "") yield schema.parse(JSON.parse(line));
    }
  }
  return {
    store: (source: string, id: string): Promise<StoreCheckRow[]> => Array.fromAsync(rows(storeCheckRow, source, id)),
    async *values(source: string, id: string): AsyncGenerator<string> {
      for await (const { value } of rows(valueRow, source, id)) yield value;
    },
    async max(source: string, id: string): Promise<number | null> {
      for await (const row of rows(maxRow, source, id)) return row.max;
      return null;
    },
    async statement(source: string, id: string): Promise<unknown[][]> {
      return (await Array.fromAsync(rows(statementRow, source, id))).map((row) => row.values);
    },
  };
}
export type Answers = ReturnType<typeof answers>;
