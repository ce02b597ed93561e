import { parseArgs } from "node:util";
import { StillpointError } from "@stillpoint/contracts/errors";

export const USAGE = `usage: npm run soak -- bounds [--rounds 50] [options]
       npm run soak -- kill   [--rounds 36] [options]
       npm run soak -- 10gb   [--megabytes 10000]
       npm run soak -- faults [--pairs 500] [--seed N]
       npm run soak -- index  [--chunks 100000000]
       npm run soak -- model  [--steps 5000] [--seed N] [--world 200]
       npm run soak -- postgres-versions [13 14 16 17 18]
       npm run soak -- moments [--restores 20] [--minutes 3] [--writers 4] [--seed N]
       npm run soak -- rpo    [--rounds 5] [--seed N] [--every 200]
       npm run soak -- ship-kill [--rounds 24] [--at-once 1] [--seed N]
       npm run soak -- ship   [--minutes 60] [--rate 10] [--seed N] [--moments 2]
       npm run soak -- neo4j-moments [--restores 20] [--seed N] [--flush 5] [--every 15]

of bounds and kill:
  --seed N      draws services and moments to kill; a run prints its own
  --scale N     size of the sample; 1 is about 200 MB in all stores together (0.02)
  --rate N      writes a second (40)
  --writers N   that write at once (6)`;

const KINDS = { bounds: 50, kill: 36 } as const;
export type SoakKind = keyof typeof KINDS;

export type SoakArguments = {
  kind: SoakKind;
  rounds: number;
  seed: number;
  scale: number;
  load: { writers: number; writesPerSecond: number };
};

/** `ownSeed` counts where none was named. Throws INVALID_REQUEST. */
export function soakArguments(args: readonly string[], ownSeed: number): SoakArguments {
  const { values, positionals } = parse(args);
  const [kind] = positionals;
  if (positionals.length !== 1 || (kind !== "bounds" && kind !== "kill"))
    throw wrong(
      "bounds, kill, 10gb, faults, index, model, neo4j-moments, postgres-versions or ship",
      positionals.join(" "),
    );
  return {
    kind,
    rounds: positive("--rounds", values.rounds, KINDS[kind]),
    seed: positive("--seed", values.seed, ownSeed),
    scale: positive("--scale", values.scale, 0.02),
    load: { writers: positive("--writers", values.writers, 6), writesPerSecond: positive("--rate", values.rate, 40) },
  };
}

function parse(args: readonly string[]) {
  const text = { type: "string" } as const;
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { rounds: text, seed: text, scale: text, rate: text, writers: text },
    });
  } catch (error) {
    throw wrong("the options below", error instanceof Error ? error.message : String(error));
  }
}

function positive(option: string, text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (value > 0) return value;
  throw wrong(`${option} with a number above 0`, String(text));
}

function wrong(expected: string, found: string): StillpointError {
  return new StillpointError("INVALID_REQUEST", {
    what: "Cannot begin the soak",
    why: `expected ${expected}, not ${found === "" ? "nothing" : found}`,
    hint: USAGE,
  });
}
