import { randomUUID } from "node:crypto";
import type { Mark } from "@stillpoint/contracts/point";
import type { TreeFile } from "@stillpoint/driver/tree";
import { describe, expect, test } from "vitest";
import { layoutNeo4j } from "../src/layout.ts";
import type { PhysicalDetail, StoreMark } from "../src/mark-detail.ts";
import { requirePhysical, requireRetention, settingNotes } from "../src/requirements.ts";
import { checkRecovery, compareCounts, judgeSchema } from "../src/store-checks.ts";

const system: StoreMark = {
  database: "system",
  txId: 41,
  logVersion: 0,
  offset: 24_028,
  firstLogVersion: 0,
  floor: 41,
  checkpoint: { txId: 41, logVersion: 0, offset: 24_028 },
  checkpointFiles: [{ name: "checkpoint.0", size: 4_768 }],
};
const detail: PhysicalDetail = {
  format: "physical",
  databaseId: "ED363E",
  database: "neo4j",
  txId: 2_207,
  logVersion: 9,
  offset: 81_717,
  firstLogVersion: 7,
  floor: 2_132,
  checkpoint: { txId: 1_900, logVersion: 8, offset: 178_984 },
  checkpointFiles: [{ name: "checkpoint.0", size: 5_000 }],
  system,
};
const markOf = (changed: Partial<PhysicalDetail> = {}): Mark => ({
  cutId: randomUUID(),
  position: "tx 2207",
  detail: { ...detail, ...changed },
  notes: [],
});
const LOGS = "data/transactions/neo4j";
const files: TreeFile[] = [
  { path: "data/transactions/system/checkpoint.0", size: 4_768 },
  { path: "data/transactions/system/neostore.transaction.db.0", size: 24_028 },
  { path: `${LOGS}/checkpoint.0`, size: 5_000 },
  ...[7, 8, 9].map((version) => ({ path: `${LOGS}/neostore.transaction.db.${version}`, size: 262_144 })),
  { path: "data/databases/neo4j/neostore", size: 8_192 },
];
const refused = (why: string) =>
  expect.objectContaining({ code: "VERIFICATION_FAILED", why: expect.stringContaining(why) });

describe("the layout", () => {
  test("cuts the log at the mark's commit, and takes later logs away", () => {
    const later = [10, 11].map((version) => ({ path: `${LOGS}/neostore.transaction.db.${version}`, size: 9 }));
    const steps = layoutNeo4j([...files, ...later], markOf());
    expect(steps).toContainEqual({ do: "truncate", path: `${LOGS}/neostore.transaction.db.9`, size: 81_717 });
    expect(steps).toContainEqual({
      do: "truncate",
      path: "data/transactions/system/neostore.transaction.db.0",
      size: 24_028,
    });
    expect(steps.filter((step) => step.do === "remove").map(({ path }) => path)).toEqual(later.map(({ path }) => path));
  });

  test("writes a configuration that listens on this machine alone, calls nobody, and asks for a password", () => {
    const [conf] = layoutNeo4j(files, markOf()).filter((step) => step.do === "write");
    expect(conf).toMatchObject({ path: "conf/neo4j.conf", mode: 0o600 });
    const lines = conf?.content.split("\n");
    expect(lines).toEqual(
      expect.arrayContaining([
        "server.default_listen_address=127.0.0.1",
        "dbms.usage_report.enabled=false",
        "dbms.security.auth_enabled=true",
        "initial.dbms.default_database=neo4j",
      ]),
    );
  });

  test("a newer checkpoint than the base's own is refused: with older files it would be silent corruption", () => {
    const grown = files.map((file) => (file.path === `${LOGS}/checkpoint.0` ? { ...file, size: 5_232 } : file));
    expect(() => layoutNeo4j(grown, markOf())).toThrow(refused("not the checkpoint"));
    const another = [...files, { path: `${LOGS}/checkpoint.1`, size: 360 }];
    expect(() => layoutNeo4j(another, markOf())).toThrow(refused("checkpoint.1"));
  });

  test.each([
    [`${LOGS}/checkpoint.0`, "checkpoint.0 is missing"],
    [`${LOGS}/neostore.transaction.db.7`, "neostore.transaction.db.7 is missing"],
    [`${LOGS}/neostore.transaction.db.8`, "neostore.transaction.db.8 is missing"],
    [`${LOGS}/neostore.transaction.db.9`, "neostore.transaction.db.9 is missing"],
    ["data/transactions/system/neostore.transaction.db.0", "neostore.transaction.db.0 is missing"],
  ])("without %s it is refused", (path, why) => {
    expect(() =>
      layoutNeo4j(
        files.filter((file) => file.path !== path),
        markOf(),
      ),
    ).toThrow(refused(why));
  });

  test("a log that ends before the mark is refused", () => {
    expect(() => layoutNeo4j(files, markOf({ offset: 262_145 }))).toThrow(refused("262144 bytes"));
  });

  test("a mark before the end of the base's copy is refused: its files may hold later effects", () => {
    expect(() => layoutNeo4j(files, markOf({ txId: 2_131 }))).toThrow(refused("before the end of the base"));
  });

  test("a mark that is not this store's is refused with what is wrong in it", () => {
    const foreign = { ...markOf(), detail: { lsn: "0/16B3748" } };
    expect(() => layoutNeo4j(files, foreign)).toThrow(expect.objectContaining({ code: "FORMAT_UNKNOWN" }));
  });
});

describe("a restored server", () => {
  test("must stand at the mark, by its own report and by its last transaction", () => {
    const report = { firstTxId: 1_901, lastTxId: 2_207, applied: 307 };
    expect(checkRecovery(2_207, 2_207, report)).toMatchObject({ verdict: "pass" });
    expect(checkRecovery(2_207, 2_207, undefined)).toMatchObject({ verdict: "pass" });
    expect(checkRecovery(2_207, 2_206, { ...report, lastTxId: 2_206 })).toMatchObject({ verdict: "fail" });
    expect(checkRecovery(2_207, 2_207, { ...report, lastTxId: 2_208 })).toMatchObject({ verdict: "fail" });
    expect(checkRecovery(2_207, 2_208, undefined)).toMatchObject({ verdict: "fail" });
    expect(checkRecovery(2_207, 2_207, { ...report, applied: report.applied - 1 })).toMatchObject({
      verdict: "fail",
      detail: expect.stringContaining("1 between"),
    });
  });

  test("must hold what was counted, and nothing that was not", () => {
    const counts = { "()": 3, "-[]->": 1, "(:A)": 3 };
    expect(compareCounts(counts, { ...counts, "(:Empty)": 0 })).toMatchObject({ verdict: "pass" });
    expect(compareCounts(counts, { ...counts, "(:A)": 2 })).toMatchObject({
      verdict: "fail",
      detail: "(:A): 2 instead of 3",
    });
    expect(compareCounts(counts, { ...counts, "(:B)": 1 })).toMatchObject({ verdict: "fail" });
    expect(compareCounts(counts, { "()": 3, "-[]->": 1 })).toMatchObject({ verdict: "fail" });
  });

  test("must have every index online, and an index behind every uniqueness", () => {
    const unique = { name: "c", type: "UNIQUENESS", ownedIndex: "i" };
    const verdicts = (state: string, ownedIndex: string | null) =>
      judgeSchema([{ name: "i", state }], [{ ...unique, ownedIndex }]).map(({ verdict }) => verdict);
    expect(verdicts("ONLINE", "i")).toEqual(["pass", "pass"]);
    expect(verdicts("FAILED", "i")).toEqual(["fail", "fail"]);
    expect(verdicts("POPULATING", "i")).toEqual(["fail", "fail"]);
    expect(verdicts("ONLINE", null)).toEqual(["pass", "fail"]);
  });
});

describe("a server whose files are not known", () => {
  const facts = {
    version: "5.26.30",
    edition: "community",
    databaseId: "X",
    store: "record-aligned-1.1",
    settings: {},
  };
  test.each([
    ["Neo4j 4.4.40", { version: "4.4.40" }],
    ["2026.08.1", { version: "2026.08.1" }],
    ["enterprise", { edition: "enterprise" }],
    ["block-block-1.1", { store: "block-block-1.1" }],
    ["/elsewhere", { settings: { data: "/data", logs: "/elsewhere" } }],
  ])("%s is refused, with what can be done", (named, changed) => {
    expect(() => requirePhysical({ ...facts, ...changed }, "graph:7687")).toThrow(
      expect.objectContaining({
        code: "SOURCE_UNSUPPORTED",
        why: expect.stringContaining(named),
        hint: expect.any(String),
      }),
    );
  });

  test("is not shipped from where it removes its log before that can be read, with the setting to change", () => {
    for (const retention of ["keep_none", "false"]) {
      expect(() => requireRetention({ settings: { retention } }, "graph:7687")).toThrow(
        expect.objectContaining({
          code: "SOURCE_UNSUPPORTED",
          hint: expect.stringContaining("db.tx_log.rotation.retention_policy"),
        }),
      );
    }
    for (const settings of [{}, { retention: "keep_all" }, { retention: "2 days" }, { retention: "100M size" }]) {
      expect(() => requireRetention({ settings }, "graph:7687")).not.toThrow();
    }
  });

  test("and one whose files are known is taken, with a note for each setting that endangers them", () => {
    expect(() => requirePhysical(facts, "graph:7687")).not.toThrow();
    expect(settingNotes({ retention: "2 days", preallocate: "false" })).toEqual([]);
    expect(settingNotes({ retention: "keep_all" })).toEqual([]);
    for (const retention of ["keep_none", "false", "1 files", "100M size", undefined]) {
      const settings = retention === undefined ? {} : { retention };
      expect(settingNotes(settings)).toEqual([expect.stringContaining("db.tx_log.rotation.retention_policy")]);
    }
    expect(settingNotes({ retention: "7 days", preallocate: "true" })).toEqual([
      expect.stringContaining("preallocate"),
    ]);
  });
});
