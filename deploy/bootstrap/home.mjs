import { accessSync, constants, mkdirSync } from "node:fs";
import { join } from "node:path";

/** The HOME where package managers keep their caches: the person's own, or one in the checkout where that is no use. */
export function usableHome(checkout, env) {
  for (const home of [env.HOME, join(checkout, ".tools/home")]) {
    if (home === undefined || home === "") continue;
    try {
      mkdirSync(home, { recursive: true });
      accessSync(home, constants.W_OK);
      return home;
    } catch {}
  }
  throw new Error(`neither HOME nor ${checkout} can be written to`);
}
