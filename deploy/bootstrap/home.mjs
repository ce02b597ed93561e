import { accessSync, constants, mkdirSync } from "node:fs";
import { join } from "node:path";

/**
 * The environment with a HOME where package managers can keep their caches: the person's own, or one in the checkout
 * where that is no use. npm tells its scripts where it keeps things below the HOME it found; these go with it.
 */
export function withUsableHome(checkout, env) {
  if (isUsable(env.HOME)) return env;
  const home = join(checkout, ".tools/home");
  if (!isUsable(home)) throw new Error(`neither HOME nor ${checkout} can be written to`);
  const below = (value) => env.HOME !== undefined && env.HOME !== "" && value.startsWith(`${env.HOME}/`);
  const kept = Object.entries(env).filter(([name, value]) => !(name.startsWith("npm_config_") && below(value)));
  return { ...Object.fromEntries(kept), HOME: home };
}

function isUsable(home) {
  if (home === undefined || home === "") return false;
  try {
    mkdirSync(home, { recursive: true });
    accessSync(home, constants.W_OK);
    return true;
  } catch {
    return false; // not there and not to be made, or not ours to write
  }
}
