import { toStillpointError } from "@stillpoint/contracts/errors";
import { program } from "../src/commands.ts";
import type { World } from "../src/world.ts";
import { testWorld } from "./system-fixture.ts";

export type Ended = { code: number; out: string; err: string };

/** The command in this process, with what it prints and the code it would end with. */
export function commandIn(directory: string, environment?: World["environment"]) {
  return async (...args: string[]): Promise<Ended> => {
    let [out, err] = ["", ""];
    const world = {
      ...testWorld(directory),
      ...(environment === undefined ? {} : { environment }),
      out: (more: string) => {
        out += more;
      },
      error: (more: string) => {
        err += more;
      },
      errorLine: (more: string) => {
        err += `${more}\n`;
      },
    };
    try {
      await program(world).parseAsync(["node", "stillpoint", ...args]);
      return { code: 0, out, err };
    } catch (error) {
      const known = toStillpointError(error, "failed");
      return { code: known.exit, out, err: `${err}${known.message}\n${known.hint ?? ""}` };
    }
  };
}
