import type { OpenTarget } from "@stillpoint/object-store/open-target";
import { configuredOpener } from "@stillpoint/repository/keys/configured-opener";
import { findPrimary, type Roles } from "@stillpoint/repository/replicas/find-primary";
import { locking } from "@stillpoint/repository/replicas/object-lock";
import type { ServiceContext } from "@stillpoint/service/define-service";
import type { VaultConfig } from "../config.ts";
import { keyChoiceOf } from "../key-care.ts";
import { openVaultTargets } from "../open-targets.ts";

/** The targets in the roles that the newest promotion gives them, each locking what is written to it where it says so. */
export async function vaultRoles(
  context: ServiceContext<VaultConfig>,
  resources: AsyncDisposableStack,
): Promise<Roles<OpenTarget>> {
  const { config, environment, clock, random, log } = context;
  const { primary, replicas } = resources.use(await openVaultTargets(context));
  const lock = (target: OpenTarget) => locking(target, clock.now);
  const opener = await configuredOpener(keyChoiceOf(config), environment);
  const roles = await findPrimary([lock(primary), ...replicas.map(lock)], opener, { random, now: clock.now });
  for (const { name, error } of roles.silent)
    log.warn({ target: name, error: error.toBody() }, "a target cannot be asked which one is the primary");
  if (roles.promotion !== undefined) log.info({ ...roles.promotion }, "the primary is the target that was promoted");
  return roles;
}
