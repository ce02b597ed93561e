import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { decodeBookmark } from "../src/bookmark.ts";
import { readCheckpoints } from "../src/checkpoint-file.ts";
import { firstUserLine } from "../src/credentials.ts";
import { parseLocator, quoted } from "../src/locator.ts";
import { isTornTree, recoveryReport, rootCause } from "../src/recovery-report.ts";
import { committedIn } from "../src/server-facts.ts";
import { databaseIdOf } from "../src/store-id.ts";

const fixture = async (name: string) => await readFile(new URL(`fixtures/neo4j-5.26.30/${name}`, import.meta.url));
const UUID = "748ca88f45dc4e159b47737821fdaab8";

describe("a bookmark", () => {
  test("of a real server tells the database's last transaction, beside the system's", () => {
    expect([...decodeBookmark("FB:kcwQdIyoj0XcThWbR3N4If2quMkH6ZA=")]).toEqual([[UUID, 2025]]);
    const both = "FB:kswQdIyoj0XcThWbR3N4If2quAPMEAAAAAAAAAAAAAAAAAAAAAEpkA==";
    expect(decodeBookmark(both).size).toBe(2);
    expect(committedIn(both)).toBe(3);
  });

  test.each([
    ["05", 5],
    ["7f", 127],
    ["c97fff", 32_767],
    ["ca00010000", 65_536],
    ["cb0000000100000000", 4_294_967_296],
  ])("a number written as %s is read", (hex, expected) => {
    const bytes = Buffer.from(`91cc10${UUID}${hex}90`, "hex");
    expect(committedIn(`FB:${bytes.toString("base64")}`)).toBe(expected);
  });

  test.each(["", "FB:", "neo4j:bookmark:v1:tx42", "FB:kcwQdIyo", `FB:${Buffer.from("91cc10").toString("base64")}`])(
    "%j is refused, not guessed at",
    (text) => {
      expect(() => committedIn(text)).toThrow(expect.objectContaining({ code: "SOURCE_UNSUPPORTED" }));
    },
  );
});

describe("a checkpoint file", () => {
  test("of a real server gives each checkpoint with the position that recovery begins at", async () => {
    expect(readCheckpoints(await fixture("checkpoint.0"))).toEqual([
      { oldestLogVersion: 0, logVersion: 0, offset: 3238, txId: 3, end: 360 },
      { oldestLogVersion: 0, logVersion: 0, offset: 16_719, txId: 18, end: 592 },
    ]);
  });

  test("is read up to the last record that is whole and right", async () => {
    const file = await fixture("checkpoint.0");
    for (const length of [361, 400, 591]) expect(readCheckpoints(file.subarray(0, length))).toHaveLength(1);
    for (let at = 360; at < 592; at += 1) {
      const flipped = Buffer.from(file);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      expect(readCheckpoints(flipped), `flipped at ${at}`).toHaveLength(1);
    }
    expect(readCheckpoints(Buffer.concat([file, Buffer.alloc(4096)]))).toHaveLength(2);
    expect(readCheckpoints(Buffer.alloc(0))).toEqual([]);
  });
});

test("the database's id is made from its store's file as the server makes it", async () => {
  const head = await fixture("neostore.head");
  expect(databaseIdOf(head)).toBe("ED363E99FEE4F54735FD2D8AF8826A6979B52197C764A65F2165910245A1CA3B");
  expect(databaseIdOf(head.subarray(0, 17))).toBeUndefined();
  expect(databaseIdOf(Buffer.alloc(32))).toBeUndefined();
});

test("the first user's line is what the admin tool writes", () => {
  const salt = Buffer.from("6deadc3e657abb0d460fe88148fcfc44651909cd80feefb0abcca0eb7e14a941", "hex");
  expect(firstUserLine("neo4j", "Secret12345", salt)).toBe(
    "neo4j:SHA-256,beed33350aacea6af26dd94158aaf63f41b5c66878eda1268392a4a4d79289a2," +
      "6deadc3e657abb0d460fe88148fcfc44651909cd80feefb0abcca0eb7e14a941,1024:\n",
  );
});

test("recovery's own report is found for the database asked about, the last of several", () => {
  const line = (database: string, last: number) =>
    `2026-11-21 08:27:44.917+0000 INFO  [o.n.k.d.Database] [${database}/748ca88f] Recovery in 'full' mode completed. ` +
    `Observed transactions range [first:7, last:${last}]: 2019 transactions applied, 0 not completed transactions ` +
    "rolled back, skipped applying 0 previously rolled back transactions. Time spent: 500ms.";
  const log = [line("neo4j", 1000), line("system", 41), line("neo4j", 2025), line("other", 3)].join("\n");
  expect(recoveryReport(log, "neo4j")).toEqual({ firstTxId: 7, lastTxId: 2025, applied: 2019 });
  expect(recoveryReport(log, "absent")).toBeUndefined();
});

test("of a start that failed, the innermost reason is told, and whether page trees are to blame", () => {
  const log = [
    "java.lang.RuntimeException: Error starting Neo4j database server",
    "Caused by: java.io.IOException: The stored checksum does not match",
    "\t... 28 more",
    "Caused by: org.neo4j.io.fs.ChecksumMismatchException: The stored checksum '1' is not '2'.",
    "\t... 29 more",
    "2026-11-21 09:16:43.305+0000 INFO  [o.n.b.BoltServer] Bolt server started",
  ].join("\n");
  expect(rootCause(log)).toBe("org.neo4j.io.fs.ChecksumMismatchException: The stored checksum '1' is not '2'.");
  expect(rootCause("Started.")).toBeUndefined();
  expect(isTornTree(log)).toBe(false);
  expect(isTornTree("Caused by: org.neo4j.index.internal.gbptree.TreeInconsistencyException: stuck")).toBe(true);
});

describe("a locator", () => {
  test("is a label and a property, which may have dots", () => {
    expect(parseLocator("Person.id")).toEqual({ label: "Person", property: "id" });
    expect(parseLocator("Person.address.city")).toEqual({ label: "Person", property: "address.city" });
    for (const wrong of ["Person", ".id", "Person."]) {
      expect(() => parseLocator(wrong)).toThrow(expect.objectContaining({ code: "INVALID_REQUEST" }));
    }
  });

  test("cannot leave its quotes", () => {
    expect(quoted("a`) DETACH DELETE (n")).toBe("`a``) DETACH DELETE (n`");
    expect(quoted("a\\u0060b")).toBe("`a``b`");
  });
});
