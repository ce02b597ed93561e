import { afterAll, beforeAll, describe } from "vitest";
import type { Database } from "../src/database.ts";
import { emptyDatabase, KINDS } from "./databases.ts";
import { projectionSuite } from "./projection.suite.ts";
import { readSuite } from "./read.suite.ts";
import { rebuildSuite } from "./rebuild.suite.ts";

// One embedded database for all: making it takes seconds.
describe.each(KINDS)("in %s", (kind) => {
  const resources = new AsyncDisposableStack();
  let database: Database;
  beforeAll(async () => {
    database = await emptyDatabase(kind, resources);
  });
  afterAll(() => resources.disposeAsync());

  describe("projecting", () => projectionSuite(() => database));
  describe("reading", () => readSuite(() => database));
  describe("rebuilding", () => rebuildSuite(() => database));
});
