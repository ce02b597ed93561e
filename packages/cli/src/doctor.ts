import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import { queryRuns } from "@stillpoint/contracts/queries";
import { resolveSecret } from "@stillpoint/contracts/secret";
import type { SourceSpec } from "@stillpoint/contracts/source";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { vaultStatus } from "@stillpoint/contracts/vault";
import { openSource } from "./drivers.ts";
import { type GuestBus, reachBus } from "./reach.ts";
import type { World } from "./world.ts";

type Finding = { name: string; ok: boolean; detail: string; hint?: string };

const REQUEST = { timeoutMs: 5_000 };
const SOURCE_TIMEOUT_MS = 30_000;

/** Tests every connection and right as the services use them; changes nothing. Fails where anything is not as it must be. */
export async function examine(world: World, options: { json?: boolean }): Promise<void> {
  const findings: Finding[] = [];
  const found = (finding: Finding) => {
    findings.push(finding);
    if (!options.json)
      world.out(
        `${finding.ok ? "✓" : "✗"} ${finding.name}: ${finding.detail}${finding.hint === undefined ? "" : `\n    do: ${finding.hint}`}\n`,
      );
  };
  const test = async (name: string, run: () => Promise<string>) => {
    try {
      found({ name, ok: true, detail: await run() });
    } catch (error) {
      const known = toStillpointError(error, name);
      found({ name, ok: false, detail: known.message, ...(known.hint === undefined ? {} : { hint: known.hint }) });
    }
  };

  let bus: GuestBus | undefined;
  await test("NATS", async () => {
    bus = await reachBus(world);
    return "reached, with its streams and buckets";
  });
  if (bus !== undefined) {
    await using reached = bus;
    await test("vault", async () => {
      const status = await reached.request(vaultStatus, {}, {}, REQUEST);
      const answer = await fetch(new URL("/", status.vaultUrl)).catch((cause: unknown) => {
        throw new StillpointError("UNREACHABLE", {
          what: "The vault's HTTP side cannot be reached from here",
          where: status.vaultUrl,
          why: String(cause),
          cause,
        });
      });
      await answer.body?.cancel();
      return `repository ${status.repositoryId}, format ${status.formatVersion}, at ${status.url}`;
    });
    await test("catalog", async () => {
      await reached.request(queryRuns, {}, { limit: 1 }, REQUEST);
      return "answers";
    });
    const plans = await (await reached.bucket(BUCKETS.plans)).entries();
    if (plans.length === 0)
      found({
        name: "plans",
        ok: false,
        detail: "none is in force",
        hint: "start with a plan file; its errors are in the gateway's log and in `stillpoint status`",
      });
    const agents = await (await reached.bucket(BUCKETS.agents)).entries();
    for (const { value: plan } of plans) {
      for (const [source, spec] of Object.entries(plan.definition.sources)) {
        await test(`${plan.plan}: ${source}`, () => testSource(world, spec));
        const fitting = agents.filter(
          ({ value }) => value.kind === spec.kind && value.site === spec.at && value.roles.includes("capture"),
        );
        if (fitting.length === 0)
          found({
            name: `${plan.plan}: ${source}`,
            ok: false,
            detail: `no agent of kind ${spec.kind} lives at site ${spec.at}`,
            hint: `start agent-${spec.kind} there`,
          });
      }
    }
  }
  const bad = findings.filter(({ ok }) => !ok);
  if (options.json) world.out(`${JSON.stringify({ findings }, undefined, 2)}\n`);
  if (bad.length === 0) return;
  throw new StillpointError("VERIFICATION_FAILED", {
    what: `${bad.length} of ${findings.length} are not as they must be`,
    where: bad.map(({ name }) => name).join(", "),
  });
}

/** Opens the source as a capture does, and lets it go: rights and settings are tested by use. Needs its secrets here. */
async function testSource(world: World, spec: SourceSpec): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "stillpoint-doctor-"));
  try {
    await using capture = await openSource(spec, {
      directory,
      signal: AbortSignal.any([world.signal, AbortSignal.timeout(SOURCE_TIMEOUT_MS)]),
      secret: (reference) =>
        resolveSecret(reference, { environment: world.environment, readFile: (path) => readFileSync(path, "utf8") }),
      monotonicMs: world.clock.monotonicMs,
      now: world.clock.now,
      log: () => undefined,
      tools: {},
    });
    const { version, notes } = capture.description;
    return [version, ...notes].join("; ");
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
