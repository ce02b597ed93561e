import { against, figure } from "@stillpoint/repository/bench/figure";
import { describe, expect, it } from "vitest";
import { table } from "../src/table.ts";

describe("the table of a benchmark", () => {
  it("shows a value, the peer's beside it, the ratio, and whether the goal is reached", () => {
    const own = { name: "backup", value: 300, unit: "MB/s" };
    const figures = [
      against(own, "restic 1", 150, 1.5),
      against(own, "kopia 2", 250, 1.5),
      figure("memory", 12.345, "MiB"),
    ];
    expect(table("vault", figures).split("\n")).toEqual([
      "vault",
      "  backup  300 MB/s  restic 1: 150 MB/s  2.00 ×  reaches 1.50",
      "  backup  300 MB/s  kopia 2: 250 MB/s   1.20 ×  misses 1.50",
      "  memory  12.3 MiB",
    ]);
  });
});
