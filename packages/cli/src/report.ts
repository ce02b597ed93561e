import type { Point, Proof } from "@stillpoint/contracts/point";
import { bytes, ratio, span, table } from "./figures.ts";

/** What a point is, for people. */
export function describePoint(point: Point): string {
  const { cut } = point;
  const facts: [string, string][] = [
    ["point", point.pointId],
    ["plan", point.plan],
    ["instant of the cut", cut.at],
    ["consistency", cut.reasons.length === 0 ? cut.consistency : `${cut.consistency} (${cut.reasons.join("; ")})`],
    ...(cut.fencedMs === undefined ? [] : [["fenced for", span(cut.fencedMs)] satisfies [string, string]]),
    ["window, skew", `${span(cut.windowMs)}, ${span(cut.skewMs)}`],
    ...(cut.sequence === undefined ? [] : [["sequence at the cut", String(cut.sequence)] satisfies [string, string]]),
    ...(point.partial ? [["PARTIAL", "sources are missing, see below"] satisfies [string, string]] : []),
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = facts.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`);
  const rows = point.sources.map((each) => [
    each.source,
    each.kind,
    each.mark.position,
    bytes(each.bytes),
    bytes(each.storedBytes),
    ratio(each.bytes, each.storedBytes),
    span(each.ms),
  ]);
  const sources = table(["source", "kind", "mark", "read", "stored", "ratio", "time"], rows, [3, 4, 5, 6]);
  const skipped = point.skipped.map(({ source, reason }) => `  left out: ${source}: ${reason}`);
  const notes = point.sources.flatMap((each) => each.mark.notes.map((note) => `  note on ${each.source}: ${note}`));
  return [...lines, "", indent(sources), ...skipped, ...notes].join("\n");
}

const SIGN = { pass: "✓", fail: "✗", inconclusive: "?" } as const;

/** A proof's checks, one line each, then its verdict. */
export function describeProof(proof: Proof): string {
  const checks = proof.checks.map((check) => `  ${SIGN[check.verdict]} ${check.name}: ${check.detail}`);
  return [
    ...checks,
    "",
    `  proof: ${proof.verdict}, ${proof.checks.length} checks in ${span(proof.ms)}; RTO measured: ${span(proof.rtoMs)}`,
  ].join("\n");
}

export function nextCommands(pointId: string): string {
  return [
    "  try next:",
    "    npm run stillpoint -- points",
    `    npm run stillpoint -- show ${pointId}`,
    `    npm run stillpoint -- validate ${pointId}`,
    `    npm run stillpoint -- restore ${pointId} --to ./restored`,
    "    npm run stillpoint -- doctor",
  ].join("\n");
}

function indent(text: string): string {
  return text
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n");
}
