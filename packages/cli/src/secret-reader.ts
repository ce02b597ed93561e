import { resolveSecret, type Secret } from "@stillpoint/contracts/secret";
import { targetWorld } from "@stillpoint/object-store/target-world";
import type { World } from "./world.ts";

/** Reads what `${env:…}` and `${file:…}` name on this machine, as a driver asks for it. */
export function secretReader({ environment }: Pick<World, "environment">): (reference: string) => Secret {
  const { readFile } = targetWorld(environment);
  return (reference) => resolveSecret(reference, { environment, readFile });
}
