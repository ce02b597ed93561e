import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Query, QueryRow } from "@stillpoint/contracts/query";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { distinctValues } from "../src/distinct-values.ts";
import { askOverSocket, serveQueries } from "../src/query-socket.ts";

const asked: Query = { type: "values", id: "values", of: "table.column" };
let path: string;
let resources: AsyncDisposableStack;
beforeEach(async () => {
  resources = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "sp-queries-"));
  resources.defer(async () => await rm(directory, { recursive: true, force: true }));
  path = join(directory, "socket");
});
afterEach(async () => await resources.disposeAsync());

async function serve(answer: (query: Query) => AsyncIterable<QueryRow>): Promise<void> {
  resources.use(await serveQueries(path, answer));
}

describe("queries over a socket", () => {
  test("many rows arrive in order, whatever is in them", async () => {
    const values = Array.from({ length: 20_000 }, (_, index) => `${index} line\nand \u2028 ünïcödé`);
    await serve(async function* () {
      for (const value of values) yield { value };
    });
    const rows = await Array.fromAsync(askOverSocket(path, asked));
    expect(rows).toEqual(values.map((value) => ({ value })));
  });

  test("an error crosses with its code, after the rows before it", async () => {
    await serve(async function* (query) {
      yield { value: query.id };
      throw new StillpointError("NOT_FOUND", { what: "Cannot answer", where: "table.column", hint: "look again" });
    });
    const rows: QueryRow[] = [];
    const reading = (async () => {
      for await (const row of askOverSocket(path, asked)) rows.push(row);
    })();
    await expect(reading).rejects.toMatchObject({ code: "NOT_FOUND", where: "table.column", hint: "look again" });
    expect(rows).toEqual([{ value: "values" }]);
  });

  test("an answer that stops in the middle is a failure and not an end", async () => {
    const server = createServer((socket) => socket.end(`${JSON.stringify({ row: { value: "1" } })}\n`));
    resources.defer(() => void server.close());
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await expect(Array.fromAsync(askOverSocket(path, asked))).rejects.toMatchObject({ code: "SANDBOX_FAILED" });
  });

  test("an asker that is gone and one that asks nonsense leave the server as it was", async () => {
    await serve(async function* () {
      for (let index = 0; index < 100_000; index += 1) yield { value: String(index) };
    });
    for await (const _ of askOverSocket(path, asked)) break;
    const nonsense = connect({ path });
    nonsense.end("{}\n");
    const answer = Buffer.concat(await Array.fromAsync(nonsense as AsyncIterable<Buffer>)).toString();
    expect(answer).toContain("error");
    let rows = 0;
    for await (const _ of askOverSocket(path, asked)) rows += 1;
    expect(rows).toBe(100_000);
  });
});

test("distinct values come once, in the order of their code units as JavaScript compares them", async () => {
  const values = ["b", "", "a", "\uffee", "\u{1f600}", "ä", "b", "10", "9", "Z", "\ue000", "a\0b"];
  expect(await Array.fromAsync(distinctValues(values))).toEqual([...new Set(values)].sort());
});
