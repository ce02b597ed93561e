import type { LogRange } from "@stillpoint/contracts/log";
import type { Repository } from "../src/repository.ts";
import { file, head, noise, tarOf } from "./trial.ts";

export const STREAM = "00000001";
export const SHOP = { plan: "shop", source: "orders", fenceToken: 7 };

/** A range of the log of one stream, in places of four digits. */
export function range(from: number, to: number, more: Partial<LogRange> = {}): LogRange {
  return { stream: STREAM, from: place(from), to: place(to), ...more };
}
export const place = (at: number) => String(at).padStart(4, "0");

/** Bytes of the log as everybody reads them who reads that range. */
export function logBytes(from: number, to: number): Buffer {
  return noise(from * 10_000 + to, to - from + 1);
}

export async function writeLog(
  repository: Repository,
  backupId: string,
  of: LogRange,
  type: "full" | "log" = "log",
  more: { plan?: string; source?: string } = {},
): Promise<void> {
  const content = file(`pg_wal/${of.from}`, logBytes(Number(of.from), Number(of.to)));
  await repository.writeBackup({ ...head(backupId, type), ...more, log: of }, tarOf([content]));
}
