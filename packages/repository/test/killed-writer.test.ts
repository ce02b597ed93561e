import { beforeAll, describe, expect, it } from "vitest";
import { killAtWrite, preparedFor } from "../proof/kill-at-write.ts";
import { type SmallRepository, smallRepository } from "../proof/small-repository.ts";
import { SWEPT_OPERATIONS } from "../proof/swept-operations.ts";

/** A backup and its seal are killed in a vault, by its own test. */
const KILLED = ["collect", "rotate"];
/** More writes than any of them makes. */
const MOST_WRITES = 40;

let base: SmallRepository;
beforeAll(async () => {
  base = await smallRepository(2);
});

// As many processes as there are writes: on a machine that has other work too that takes its time.
describe("a process that is killed right after any of its writes", { timeout: 300_000 }, () => {
  for (const operation of SWEPT_OPERATIONS.filter(({ title }) => KILLED.includes(title)))
    it(`to the directory, in ${operation.title}, leaves what checks clean, and doing it again comes out right`, async () => {
      const prepared = await preparedFor(base, operation);
      let kills = 0;
      for (let k = 1; k <= MOST_WRITES; k++) {
        const { killed, findings } = await killAtWrite(prepared, operation, k);
        expect({ k, findings }).toEqual({ k, findings: [] });
        if (!killed) break;
        kills++;
      }
      expect(kills).toBeGreaterThan(1);
      expect(kills).toBeLessThan(MOST_WRITES);
    });
});
