import { join } from "node:path";
import { findOnPath } from "./command.ts";
import { fetchOnce } from "./fetch-once.ts";
import { goInstall } from "./go-install.ts";
import { firstThatWorks } from "./not-installed.ts";
import type { PartOptions } from "./part-options.ts";

const VERSION = "1.56.1";

export type FakeGcsPart = { readonly command: string };

export async function ensureFakeGcs(options: PartOptions): Promise<FakeGcsPart> {
  const name = "fake-gcs-server, which answers as Google Cloud Storage";
  return firstThatWorks(name, "install Go 1.25 or newer, or put fake-gcs-server on PATH", [
    async () => {
      const [command] = await findOnPath("fake-gcs-server", options.env ?? process.env);
      if (command === undefined) throw new Error("no fake-gcs-server is on PATH");
      return { command };
    },
    async () => {
      const directory = await fetchOnce(options, `fake-gcs-server-${VERSION}`, (temporary) =>
        goInstall(`github.com/fsouza/fake-gcs-server@v${VERSION}`, temporary, options),
      );
      return { command: join(directory, "fake-gcs-server") };
    },
  ]);
}
