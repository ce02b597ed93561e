import type { Bucket } from "@stillpoint/bus/bucket";
import type { Point } from "@stillpoint/contracts/point";
import type { BUCKETS } from "@stillpoint/contracts/topology";
import type { TicketClaims } from "@stillpoint/contracts/vault";
import type { Repository } from "@stillpoint/repository/repository";

/**
 * The backups of a source in a point before, by what this vault sealed last, else by what is noted of the plan's usual points:
 * nobody reads all points for it. An older one than the newest does no harm, and none at all costs a full reading.
 */
export function earlierBackups(
  repository: Pick<Repository, "point">,
  usual: Pick<Bucket<(typeof BUCKETS)["usual"]>, "get">,
) {
  const lastSealed = new Map<string, string[]>();
  const keyOf = (plan: string, source: string) => `${plan}/${source}`;
  return {
    sealed({ plan, sources }: Point): void {
      for (const { source, backups } of sources) lastSealed.set(keyOf(plan, source), backups);
    },
    async of(plan: string, source: string): Promise<string[]> {
      const known = lastSealed.get(keyOf(plan, source));
      if (known !== undefined) return known;
      const { last, points = [] } = (await usual.get(plan))?.value ?? {};
      const pointId = last ?? points.at(-1);
      const point = pointId === undefined ? undefined : await repository.point(pointId);
      return point?.sources.find((each) => each.source === source)?.backups ?? [];
    },
  };
}
export type EarlierBackups = ReturnType<typeof earlierBackups>;

/** What a capture may take files over from, which the vault alone says. */
export async function withEarlier(claims: TicketClaims, earlier: EarlierBackups): Promise<TicketClaims> {
  if (claims.purpose !== "capture") return claims;
  const { earlier: _asked, ...own } = claims;
  if (claims.kind !== "files") return own;
  const backups = await earlier.of(claims.plan, claims.source);
  return backups.length === 0 ? own : { ...own, earlier: backups };
}
