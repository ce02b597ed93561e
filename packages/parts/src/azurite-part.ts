import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runToEnd } from "./command.ts";
import { fetchOnce } from "./fetch-once.ts";
import type { PartOptions } from "./part-options.ts";

/** 3.37 asks for a library that not every registry has. */
const VERSION = "3.36.0";

/** The program is JavaScript: it runs on the Node that runs us. */
export type AzuritePart = { readonly script: string };

/** By npm into a directory of its own: its 300 packages are for tests alone and stay out of the workspace. */
export async function ensureAzurite(options: PartOptions): Promise<AzuritePart> {
  const directory = await fetchOnce(options, `azurite-${VERSION}`, async (temporary) => {
    options.log?.(`azurite ${VERSION}: fetching (190 MB unpacked)`);
    await writeFile(join(temporary, "package.json"), '{ "private": true }\n');
    const install = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--loglevel=error"];
    await runToEnd("npm", [...install, `azurite@${VERSION}`], { cwd: temporary, env: options.env ?? process.env });
  });
  return { script: join(directory, "node_modules/azurite/dist/src/blob/main.js") };
}
