import { StillpointError } from "@stillpoint/contracts/errors";
import type { Mark, Runtime } from "@stillpoint/contracts/point";
import { aliasChanges, changeAliases } from "./aliases.ts";
import { answeredInTime } from "./answered-in-time.ts";
import { type IntoPlan, type IntoStep, type IntoWishes, planInto, unfinishedAlias } from "./into-plan.ts";
import { readTarget, requireFit } from "./into-target.ts";
import { dropCollection, loadCollection } from "./load-collection.ts";
import { setLimits } from "./make-collection.ts";
import { markDetail } from "./mark-detail.ts";
import { readCollections, type StoredCollection } from "./restore-server.ts";
import type { Peers } from "./server.ts";
import { readAliasesOf } from "./server-content.ts";
import { verifyRestored } from "./verify-restored.ts";

export type IntoPreview = { plan: IntoPlan; version: string; warnings: string[] };

/** Looks at the server and says what would be done. Changes nothing. */
export async function previewInto(
  peers: Peers,
  { mark, runtime }: { mark: Mark; runtime: Runtime },
  wishes: IntoWishes,
  signal: AbortSignal,
): Promise<IntoPreview> {
  const look = (opening: AbortSignal) => requireFit(peers, runtime, opening);
  const { version, warnings } = await answeredInTime(peers[0].url, signal, look);
  const { collections, aliases } = markDetail.parse(mark.detail);
  const names = Object.keys(collections).sort();
  const named = new Set([...names.flatMap((name) => [name, `${name}-${wishes.stamp}`]), ...wishes.rename.values()]);
  const target = await readTarget(peers, (name) => named.has(name), signal);
  const plan = planInto({ collections: names, aliases }, target, wishes);
  const left = wishes.keepAliases || !wishes.inPlace ? othersOn(plan, target.aliases) : [];
  return { plan, version, warnings: [...warnings, ...left] };
}

/** Aliases of the server on the restored collections' old names, which the point does not have: they stay where they are. */
function othersOn({ steps, aliases }: IntoPlan, now: ReadonlyMap<string, string>): string[] {
  const switched = new Set(aliases.map(({ alias }) => alias));
  return [...now]
    .filter(([alias, name]) => !switched.has(alias) && steps.some(({ from }) => from === name))
    .map(([alias, name]) => `alias ${alias} stays on ${name}`);
}

export type IntoWork = { directory: string; mark: Mark; say: (line: string) => void; signal: AbortSignal };

/** Collections of the point by the name that they have now, and how many checks they passed. */
export type IntoResult = { restored: Record<string, string>; checks: number };

/**
 * Does what the preview said. Everything is loaded under names of its own and verified before an alias or a collection that
 * serves is touched. Whenever it is broken off, the same restore can be asked for again: what is unfinished says so.
 */
export async function restoreInto(peers: Peers, plan: IntoPlan, work: IntoWork): Promise<IntoResult> {
  const stored = new Map((await readCollections(work.directory)).map((each) => [each.file.name, each]));
  const loaded: IntoStep[] = [];
  for (const each of plan.steps) {
    if (each.step === "keep") continue;
    const isThere = each.step === "make again";
    await loadCollection(peers, storedOf(stored, each.from), each.name, { ...work, isThere });
    loaded.push(each);
  }
  let checks = await verify(peers, new Map(loaded.map(({ from, name }) => [from, name])), work);
  for (const { from, name } of loaded) await setLimits(peers[0], storedOf(stored, from).file.config, name, work.signal);
  const finished = loaded.map(({ name }): [string, undefined] => [unfinishedAlias(name), undefined]);
  const replaced = plan.steps.filter(({ replaces }) => replaces !== undefined);
  const switched = replaced.length > 0 ? [] : plan.aliases.map(({ alias, to }): [string, string] => [alias, to]);
  await setAliases(peers, new Map([...finished, ...switched]), work.signal);
  for (const each of replaced) checks += await replace(peers, each, storedOf(stored, each.from), plan, work);
  const restored = plan.steps.map(({ from, name, replaces }) => [from, replaces?.name ?? name]);
  return { restored: Object.fromEntries(restored), checks };
}

/** The verified copy beside has the aliases while the name is empty; then they come back, and the copy goes. */
async function replace(
  peers: Peers,
  { from, name: beside, replaces }: IntoStep,
  stored: StoredCollection,
  { aliases }: IntoPlan,
  work: IntoWork,
): Promise<number> {
  const name = replaces?.name ?? from;
  const now = await readAliasesOf(peers, work.signal);
  await setAliases(peers, moved(now, name, beside), work.signal);
  const { collections } = await readTarget(peers, () => false, work.signal);
  await loadCollection(peers, stored, name, { ...work, isThere: collections.has(name) });
  const checks = await verify(peers, new Map([[from, name]]), work).catch((error: unknown) => {
    work.say(`${beside} is whole, and serves what ${name}'s aliases served`);
    throw error;
  });
  await setLimits(peers[0], stored.file.config, name, work.signal);
  const wanted = aliases.filter(({ to }) => to === name).map(({ alias }): [string, string] => [alias, name]);
  const back = moved(await readAliasesOf(peers, work.signal), beside, name);
  await setAliases(peers, new Map([...back, ...wanted, [unfinishedAlias(name), undefined]]), work.signal);
  await dropCollection(peers, beside, work.signal);
  return checks;
}

function moved(now: ReadonlyMap<string, string>, from: string, to: string): Map<string, string> {
  const there = [...now].filter(([alias, name]) => name === from && alias !== unfinishedAlias(from));
  return new Map(there.map(([alias]) => [alias, to]));
}

async function setAliases(
  peers: Peers,
  wanted: ReadonlyMap<string, string | undefined>,
  signal: AbortSignal,
): Promise<void> {
  await changeAliases(peers[0], aliasChanges(await readAliasesOf(peers, signal), wanted), signal);
}

async function verify(
  peers: Peers,
  names: ReadonlyMap<string, string>,
  { mark, say, signal }: IntoWork,
): Promise<number> {
  if (names.size === 0) return 0;
  say("verifying");
  const rows = await Array.fromAsync(verifyRestored(peers, mark, names, signal));
  const failed = rows.filter(({ verdict }) => verdict === "fail");
  if (failed.length === 0) return rows.length;
  throw new StillpointError("VERIFICATION_FAILED", {
    what: "What was restored is not what was captured, and nothing was switched to it",
    where: peers[0].url,
    why: failed.map(({ name, detail }) => `${name}: ${detail}`).join("; "),
    hint: `it stays to be looked at, as ${[...names.values()].join(", ")}; the same restore again replaces it`,
  });
}

function storedOf(stored: ReadonlyMap<string, StoredCollection>, name: string): StoredCollection {
  const found = stored.get(name);
  if (found !== undefined) return found;
  throw new StillpointError("VERIFICATION_FAILED", {
    what: "The backup does not hold what its mark says",
    where: name,
  });
}
