import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import type { DriverContext, Tools } from "@stillpoint/driver/driver";
import { type SharedNeo4j, sharedNeo4j } from "@stillpoint/testkit/neo4j";
import { type TemporaryDirectory, temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { findAdmin } from "../src/admin-program.ts";
import { chainTo, parseArtifacts } from "../src/artifact-table.ts";
import { backupAddress, chooseWay, wantedDatabases } from "../src/capture-way.ts";
import { type ConnectedSource, connectSource } from "../src/connect.ts";
import { openEnterprise } from "../src/enterprise-capture.ts";
import { backupArguments, restoreArguments } from "../src/enterprise-commands.ts";
import { restoreEnterprise } from "../src/enterprise-restore.ts";
import { detailOf, type EnterpriseDetail } from "../src/mark-detail.ts";
import { neo4jDriver } from "../src/neo4j-driver.ts";
import { enterpriseRuntime } from "../src/requirements.ts";
import { lastCommitted } from "../src/server-facts.ts";
import { contextOf, neo4jTools, specOf } from "./subject.ts";

vi.setConfig({ testTimeout: 300_000 });

const signal = new AbortController().signal;
const DOUBLE = fileURLToPath(new URL("neo4j-admin-double.mjs", import.meta.url));

describe("what neo4j-admin is asked for", () => {
  test("is a full and a differential backup, and a restore that ends with the mark's transaction", () => {
    const paths = { from: "db:6362", toPath: "/backups/graph", tempPath: "/backups/temporary" };
    expect(backupArguments(["neo4j", "system"], { ...paths, type: "DIFF" })).toEqual([
      "database",
      "backup",
      "--from=db:6362",
      "--to-path=/backups/graph",
      "--temp-path=/backups/temporary",
      "--type=DIFF",
      "--compress=false",
      "neo4j",
      "system",
    ]);
    const restore = { lastArtifact: "/tree/backup/neo4j-2.backup", txId: 122, tempPath: "/t" };
    expect(restoreArguments("neo4j", restore)).toContain("--restore-until=123");
    expect(backupAddress({ url: "bolt://graph:7687" })).toBe("graph:6362");
    expect(backupAddress({ url: "bolt://graph:7687", backup: "graph:7000" })).toBe("graph:7000");
  });

  test("is of the databases that are named, or of all that are online, beside system", () => {
    const online = ["neo4j", "orders", "system"];
    expect(wantedDatabases("neo4j", undefined, online, "")).toEqual(["neo4j"]);
    expect(wantedDatabases("neo4j", "all", online, "")).toEqual(["neo4j", "orders"]);
    expect(wantedDatabases("neo4j", ["orders", "system"], online, "")).toEqual(["orders"]);
    for (const wrong of [["absent"], ["system"]]) {
      expect(() => wantedDatabases("neo4j", wrong, online, "")).toThrow(/Cannot capture/);
    }
  });
});

describe("the chain of a database", () => {
  const table = (rows: [full: boolean, lowest: number, highest: number][]) =>
    parseArtifacts(
      [
        "some other line",
        "|  FILE | DATABASE | DATABASE ID | TIME | FULL | COMPRESSED | LOWEST TX | HIGHEST TX |",
        ...rows.map(
          ([full, lowest, highest], i) =>
            `| file:///b/neo4j-${i}.backup | neo4j | c8 | 2026 | ${full} | true | ${lowest} | ${highest} |`,
        ),
      ].join("\n"),
    );
  const chain = (rows: [boolean, number, number][], txId: number) =>
    chainTo(table(rows), "neo4j", txId).map(({ file }) => file);

  test("goes from its newest full that is not behind the mark up to the mark", () => {
    expect(
      chain(
        [
          [true, 1, 11],
          [false, 12, 14],
          [false, 15, 18],
        ],
        14,
      ),
    ).toEqual(["neo4j-0.backup", "neo4j-1.backup"]);
    expect(
      chain(
        [
          [true, 1, 11],
          [false, 12, 18],
          [true, 1, 40],
        ],
        18,
      ),
    ).toEqual(["neo4j-0.backup", "neo4j-1.backup"]);
    expect(chain([[true, 1, 11]], 11)).toEqual(["neo4j-0.backup"]);
  });

  test("that has a hole, or does not reach the mark, is refused", () => {
    expect(() =>
      chain(
        [
          [true, 1, 11],
          [false, 13, 18],
        ],
        18,
      ),
    ).toThrow(/12 to 12/);
    expect(() =>
      chain(
        [
          [true, 1, 11],
          [false, 12, 14],
        ],
        15,
      ),
    ).toThrow(/end with tx 14/);
    expect(() => chain([[true, 1, 20]], 15)).toThrow(/no full backup/);
    expect(() => parseArtifacts("| FILE | DATABASE |\n| a | b |")).toThrow(/Cannot read/);
  });
});

describe("beside a real Community", () => {
  const resources = new AsyncDisposableStack();
  let server: SharedNeo4j;
  let directory: TemporaryDirectory;
  let connected: ConnectedSource;
  let tools: Tools;
  let context: (label: string, tools?: Tools) => Promise<DriverContext>;
  beforeAll(async () => {
    directory = resources.use(await temporaryDirectory("neo4j-enterprise"));
    server = resources.use(await sharedNeo4j());
    tools = await neo4jTools();
    context = async (label, given = tools) => {
      const own = join(directory.path, label);
      await mkdir(own, { mode: 0o700 });
      return contextOf(server, given, own);
    };
    connected = resources.use(await connectSource(specOf(server, false), await context("connect")));
  }, 300_000);
  afterAll(async () => await resources.disposeAsync());

  test("its neo4j-admin offers no backup, so that it is captured from its files, or over Bolt", async () => {
    const { java = "java", neo4jLib = "" } = tools;
    const home = [`NEO4J_HOME=${directory.path}`, `NEO4J_CONF=${directory.path}`];
    const command = ["/usr/bin/env", ...home, java, "-Xmx256m", "-cp", `${neo4jLib}/*`, "org.neo4j.cli.AdminTool"];
    const admin = await findAdmin({ neo4jAdmin: command }, signal);
    expect([...(admin?.offers ?? [])]).toEqual(expect.arrayContaining(["check", "dump", "info", "load"]));
    expect(admin?.offers.has("backup") || admin?.offers.has("restore")).toBe(false);
    const way = async (files: boolean) => await chooseWay(specOf(server, files), connected, { tools, signal });
    expect(await way(true)).toMatchObject({ by: "files" });
    expect(await way(false)).toMatchObject({ by: "bolt" });
    await expect(
      chooseWay({ ...specOf(server), databases: ["neo4j", "orders"] }, connected, { tools, signal }),
    ).rejects.toMatchObject({ code: "SOURCE_UNSUPPORTED", why: expect.stringContaining("orders") });
    expect(await chooseWay({ ...specOf(server), databases: "all" }, connected, { tools, signal })).toMatchObject({
      by: "files",
    });
  });

  test("a program that was named and is not there is told; without one there is none", async () => {
    await expect(findAdmin({ neo4jAdmin: ["/nowhere/neo4j-admin"] }, signal)).rejects.toMatchObject({
      hint: expect.stringContaining("STILLPOINT_NEO4J_ADMIN"),
    });
  });

  test("a double of Enterprise's tool is chosen by what it offers and what the server is", async () => {
    const neo4jAdmin = [process.execPath, DOUBLE, "/nowhere"];
    const enterprise = { ...connected, facts: { ...connected.facts, edition: "enterprise" } };
    const chosen = (given: Tools, source = specOf(server)) => chooseWay(source, enterprise, { tools: given, signal });
    expect(await chosen({ neo4jAdmin })).toMatchObject({ by: "tool", databases: ["neo4j"] });
    expect(await chooseWay(specOf(server), connected, { tools: { neo4jAdmin }, signal })).toMatchObject({
      by: "files",
    });
    await expect(chosen({})).rejects.toMatchObject({ hint: expect.stringContaining("STILLPOINT_NEO4J_ADMIN") });
    expect(await chosen({}, specOf(server, false))).toMatchObject({
      by: "bolt",
      why: expect.stringContaining("backup"),
    });
  });

  test("a double's full and differential come back up to the mark and no further", async () => {
    const stateFile = join(directory.path, "state.json");
    const admin = await findAdmin({ neo4jAdmin: [process.execPath, DOUBLE, stateFile] }, signal);
    if (admin === undefined) throw new Error("the double is there");
    const { driver, where, facts } = connected;
    const txId = async () => await lastCommitted(driver, "neo4j", where);
    const state = async (extra: object = {}, beyond = 0) =>
      await writeFile(stateFile, JSON.stringify({ ends: { neo4j: (await txId()) + beyond, system: 9 }, ...extra }));
    const write = async () => void (await driver.executeQuery("CREATE (:Written)"));
    const runtime = { id: enterpriseRuntime("5.26.30"), version: "5.26.30", arch: "x64", extensions: [], settings: {} };
    const description = { version: "", runtime, hasLog: true, finish: "incremental" as const, notes: [] };
    const source = { ...connected, facts, description, admin, databases: ["neo4j"], backupAddress: "db:6362" };
    const capture = openEnterprise(source, await context("capture"));
    const tree = directoryTree(join(directory.path, "restored"));
    await mkdir(join(directory.path, "restored"));

    await write();
    await state();
    await capture.base(tree);
    await write();
    await capture.settle();
    const mark = await capture.mark({ cutId: randomUUID(), budgetMs: 5_000, fenced: false });
    const marked = await txId();
    await write();
    await state({ prunedTo: marked }, 3);
    await expect(capture.finish(tree), "the server had removed its log").rejects.toMatchObject({
      code: "SOURCE_CHANGED",
      hint: expect.stringContaining("retention_policy"),
    });
    await state({ refuses: "Connection refused" });
    await expect(capture.finish(tree)).rejects.toMatchObject({ code: "SOURCE_LOST", why: "Connection refused" });

    const again = openEnterprise(source, await context("again"));
    await state();
    await again.base(tree);
    await write();
    await state({}, 3);
    const second = await again.mark({ cutId: randomUUID(), budgetMs: 5_000, fenced: false });
    await again.finish(tree);
    expect(await readdir(join(directory.path, "restored/backup"))).not.toHaveLength(0);
    expect(neo4jDriver.layout([], second)).toEqual([]);
    const detail = detailOf(second) as EnterpriseDetail; // what it made
    expect(detail.databases).toEqual([{ database: "neo4j", txId: await txId() }]);
    expect(mark.position).toBe(`neo4j tx ${marked}`);
    const home = join(directory.path, "home");
    await mkdir(home);
    const restore = { directory: join(directory.path, "restored"), home, conf: join(home, "conf"), detail, signal };
    await restoreEnterprise(admin, restore);
    expect(await readFile(join(home, "data/neo4j"), "utf8")).toBe(String(await txId()));
    await expect(restoreEnterprise({ ...admin, offers: new Set(["load"]) }, restore)).rejects.toMatchObject({
      code: "STORE_NOT_INSTALLED",
    });
  });
});
