import type { RepositoryContext } from "../repository-context.ts";
import { beginReading } from "./reading.ts";

type Held = { backups: ReadonlySet<string>; users: number; lease: AsyncDisposable };

/** Readers' leases: who reads what another lease of this process names already, takes none of its own. */
export function sharedReading() {
  const held = new Set<Held>();

  return (context: RepositoryContext, backups: readonly string[]): AsyncDisposable => {
    const found = [...held].find((each) => backups.every((backup) => each.backups.has(backup)));
    const lease = found ?? { backups: new Set(backups), users: 0, lease: beginReading(context, backups) };
    held.add(lease);
    lease.users += 1;
    return {
      async [Symbol.asyncDispose]() {
        lease.users -= 1;
        if (lease.users > 0) return;
        held.delete(lease);
        await lease.lease[Symbol.asyncDispose]();
      },
    };
  };
}
