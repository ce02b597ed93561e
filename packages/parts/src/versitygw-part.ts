import { join } from "node:path";
import { findOnPath } from "./command.ts";
import { fetchOnce } from "./fetch-once.ts";
import { goInstall } from "./go-install.ts";
import { firstThatWorks } from "./not-installed.ts";
import type { PartOptions } from "./part-options.ts";

const VERSION = "1.8.0";

export type VersitygwPart = { readonly command: string };

export async function ensureVersitygw(options: PartOptions): Promise<VersitygwPart> {
  return firstThatWorks("versitygw, an S3 server", "install Go 1.25 or newer, or put versitygw on PATH", [
    async () => {
      const [command] = await findOnPath("versitygw", options.env ?? process.env);
      if (command === undefined) throw new Error("no versitygw is on PATH");
      return { command };
    },
    async () => {
      const directory = await fetchOnce(options, `versitygw-${VERSION}`, (temporary) =>
        goInstall(`github.com/versity/versitygw/cmd/versitygw@v${VERSION}`, temporary, options),
      );
      return { command: join(directory, "versitygw") };
    },
  ]);
}
