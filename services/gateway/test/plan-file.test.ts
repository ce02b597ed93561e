import { StillpointError } from "@stillpoint/contracts/errors";
import { DEFAULT_PLAN } from "@stillpoint/sample/default-plan";
import { samplePlanText } from "@stillpoint/sample/plan";
import { expect, test } from "vitest";
import { warningsOf } from "../src/check-plan.ts";
import { PlanFileRejected, readPlanFile } from "../src/plan-file.ts";
import { revisionOf } from "../src/revision.ts";

const GOOD = `
# a shop
plans:
  shop:
    objectives: { rto: 30m, rpo: 5m }
    sources:
      orders:   { kind: postgres, url: "postgres://backup@db/orders", password: "\${env:PGPASSWORD}" }
      graph:    { kind: neo4j, url: "bolt://graph:7687", data: /var/lib/neo4j/data }
      vectors:  { kind: qdrant, url: "http://qdrant:6333" }
      sessions: { kind: sqlite, path: "/var/lib/app/*.db" }
      config:   { kind: files, paths: [/etc/app, /srv/uploads] }
    cut: { mode: fence, hook: { http: "http://app:8080/quiesce" } }
    schedule: [ every 5m, daily, weekly, monthly ]
    keep: { log: 7d }
    checks:
      - { reference: "vectors.products.payload.id -> orders.product.id" }
      - { sql: "select count(*) from product where price is null", source: orders, expect: 0 }
alerts:
  - { slack: "\${env:SLACK_WEBHOOK}", from: warning }
`;

function rejected(text: string): PlanFileRejected {
  try {
    readPlanFile(text, "plan.yaml");
  } catch (error) {
    if (error instanceof PlanFileRejected) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

test("the plan of the design and the sample's own are accepted", () => {
  const { plans, alerts } = readPlanFile(GOOD, "plan.yaml");
  expect(plans.map(({ name }) => name)).toEqual(["shop"]);
  expect(alerts).toHaveLength(1);
  const [demo] = readPlanFile(samplePlanText(DEFAULT_PLAN), "plan.yaml").plans;
  expect(demo?.name).toBe("demo");
  expect(demo && warningsOf(demo.plan)).toEqual([]);
});

test.each([
  ["a field of the wrong kind", "rto: 30m", "rto: 30", 5, "plans.shop.objectives.rto"],
  ["a field that is not known", "keep: { log: 7d }", "kepp: { log: 7d }", 14, "plans.shop.kepp"],
  ["a kind that is not known", "kind: qdrant", "kind: milvus", 9, "plans.shop.sources.vectors.kind"],
  ["a field of a source that is not known", "data: /var/lib", "date: /var/lib", 8, "plans.shop.sources.graph.date"],
  ["a field that is missing", ', url: "http://qdrant:6333"', "", 9, "plans.shop.sources.vectors.url"],
  ["a fence without a hook", ', hook: { http: "http://app:8080/quiesce" }', "", 12, "plans.shop.cut.hook"],
  ["a hook that is no URL", '"http://app:8080/quiesce"', "app", 12, "plans.shop.cut.hook.http"],
  ["a schedule entry that is not known", "every 5m", "each 5m", 13, "plans.shop.schedule.0"],
  ["a check that is malformed", "payload.id -> orders", "payload.id => orders", 16, "plans.shop.checks.0.reference"],
  ["a check of a source that is not there", "-> orders.", "-> order.", 16, "plans.shop.checks.0.reference"],
  ["a name that is not one", "shop:", "My Shop:", 4, "plans.My Shop"],
  ["an alert that leads nowhere", "{ slack:", "{ slck:", 19, "alerts.0.slack"],
])("%s is named with its line", (_, from, to, line, field) => {
  expect(GOOD).toContain(from);
  const { where, why, code } = rejected(GOOD.replace(from, to));
  expect(code).toBe("PLAN_INVALID");
  expect(where).toMatch(new RegExp(`^plan.yaml, line ${line}, column \\d+, ${field.replaceAll(".", "\\.")}$`));
  expect(why).toContain(`line ${line}, `);
});

test("broken YAML is named with its line, a key that comes twice too", () => {
  expect(rejected(GOOD.replace("daily, weekly, monthly ]", "daily")).why).toMatch(/^line 1[34], column \d+: /);
  const twice = rejected(GOOD.replace("    keep: { log: 7d }", "    cut: { mode: align }"));
  expect(twice).toMatchObject({ plan: "plan-file", where: "plan.yaml:14", why: expect.stringContaining("unique") });
});

test("every issue is shown, and the plan that all of them are in", () => {
  const one = rejected(GOOD.replace("rto: 30m", "rto: soon").replace("log: 7d", "log: ever"));
  expect(one.plan).toBe("shop");
  expect(one.why).toMatch(/line 5, .*objectives\.rto: .*line 14, .*keep\.log: /);
  expect(rejected("plans: 7").plan).toBe("plan-file");
  expect(rejected("").plan).toBe("plan-file");
});

test("a secret that was written into the file is refused and never repeated", () => {
  const inline = rejected(GOOD.replace('"${env:PGPASSWORD}"', "hunter2"));
  const inUrl = rejected(GOOD.replace("backup@db", "backup:hunter2@db"));
  const broken = rejected(GOOD.replace('"${env:PGPASSWORD}" }', "hunter2"));
  for (const error of [inline, inUrl, broken]) {
    expect(error).toBeInstanceOf(StillpointError);
    expect(JSON.stringify(error.toBody())).not.toContain("hunter2");
  }
  expect(inline.why).toContain("never the secret itself");
});

test("a schedule that is slower than the RPO is refused with the reason", () => {
  const slow = rejected(GOOD.replace("every 5m, daily", "every 10m, daily"));
  expect(slow.where).toContain("line 13, column 15, plans.shop.schedule");
  expect(slow.why).toContain("leaves 10m between two points, longer than the RPO of 5m");
  expect(slow.why).toContain("set objectives.rpo to 10m");
});

test("a file of aliases that unfold to a giant is refused", () => {
  const bomb = ["a: &a [x, x, x, x, x, x, x, x, x]"];
  for (const [at, letter] of ["b", "c", "d", "e", "f", "g"].entries()) {
    const before = `*${"abcdef"[at]}`;
    bomb.push(`${letter}: &${letter} [${Array.from({ length: 9 }, () => before).join(", ")}]`);
  }
  expect(rejected(bomb.join("\n")).why).toContain("alias");
});

test("a revision is of what is meant, not of how it is laid out", () => {
  const [first] = readPlanFile(GOOD, "plan.yaml").plans;
  const otherwise = GOOD.replace("{ rto: 30m, rpo: 5m }", "\n      rpo: 5m # soon\n      rto: '30m'");
  const [second] = readPlanFile(otherwise, "plan.yaml").plans;
  const [third] = readPlanFile(GOOD.replace("rto: 30m", "rto: 31m"), "plan.yaml").plans;
  if (first === undefined || second === undefined || third === undefined) throw new Error("no plan");
  expect(revisionOf(first.definition)).toMatch(/^[0-9a-f]{64}$/);
  expect(revisionOf(second.definition)).toBe(revisionOf(first.definition));
  expect(revisionOf(third.definition)).not.toBe(revisionOf(first.definition));
});
