import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import { queryRuns } from "@stillpoint/contracts/queries";
import { examineSource } from "@stillpoint/contracts/sessions";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { vaultStatus } from "@stillpoint/contracts/vault";
import { type GuestBus, reachBus } from "./reach.ts";
import type { World } from "./world.ts";

type Finding = { name: string; ok: boolean; detail: string; hint?: string };

const REQUEST = { timeoutMs: 5_000 };
/** The agent opens the source, and says so itself when that takes too long. */
const SOURCE = { timeoutMs: 30_000 };

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
    for (const { value: plan } of plans) {
      for (const [source, spec] of Object.entries(plan.definition.sources)) {
        await test(`${plan.plan}: ${source}`, async () => {
          const parameters = { kind: spec.kind, site: spec.at };
          const { version, notes } = await reached.request(examineSource, parameters, { source, spec }, SOURCE);
          return [version, ...notes].join("; ");
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
