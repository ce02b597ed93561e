import { openPrimary } from "@stillpoint/object-store/open-object-store";
import { initRepository } from "@stillpoint/repository/init-repository";
import { ageRecipient, newIdentity } from "@stillpoint/repository/keys/age";
import { chosenKey } from "@stillpoint/repository/keys/configured-opener";
import { locking } from "@stillpoint/repository/replicas/object-lock";
import { openerOf, type RepositoryKeyOptions } from "./key/key-options.ts";
import { makeKeyFile } from "./make-key-file.ts";
import type { World } from "./world.ts";

type InitOptions = RepositoryKeyOptions & {
  newIdentity: boolean;
  escrowRecipient: string[];
  soleInitialiser: boolean;
};

export async function initialiseRepository(world: World, options: InitOptions): Promise<void> {
  const { keyFile } = chosenKey(options, world.environment);
  const made =
    keyFile !== undefined && (await makeKeyFile(keyFile, options.newIdentity ? await newIdentity() : undefined));
  const opener = await openerOf(world, options);
  const further = await Promise.all(
    options.escrowRecipient.map(async (each) => ({ sealer: await ageRecipient(each), type: "escrow" as const })),
  );
  const { now } = world.clock;
  const primary = await openPrimary(options.repository, { environment: world.environment, create: true });
  await using store = locking(primary, now).store;
  const { soleInitialiser } = options;
  await initRepository(store, { opener, further, random: world.random, now, soleInitialiser });
  if (options.json) world.out(`${JSON.stringify({ repository: store.url, keyFile, keyFileMade: made })}\n`);
  else world.out(`repository made at ${store.url}\n`);
  if (made)
    world.errorLine(
      `a random ${options.newIdentity ? "age identity" : "passphrase"} was written to ${keyFile}: without a copy of it elsewhere, every backup is lost with this machine (\`stillpoint key export\` prints a recovery sheet)`,
    );
}
