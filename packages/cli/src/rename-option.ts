import { StillpointError } from "@stillpoint/contracts/errors";

/** `--rename products=products-of-may`, as often as it was given. */
export function renames(given: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    given.map((text): [string, string] => {
      const [, from, to] = /^([^=]+)=([^=]+)$/.exec(text) ?? [];
      if (from !== undefined && to !== undefined) return [from, to];
      throw new StillpointError("INVALID_REQUEST", {
        what: "Cannot read a new name",
        where: `--rename ${text}`,
        hint: "--rename products=products-of-may",
      });
    }),
  );
}
