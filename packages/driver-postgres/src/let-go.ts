import type { PostgresSource } from "@stillpoint/contracts/source";
import type { DriverContext } from "@stillpoint/driver/driver";
import { connect } from "./connection.ts";
import { shipSlotName } from "./ship-slot.ts";
import { sourceAddress } from "./source-address.ts";
import { sourcePassword } from "./source-password.ts";

/** Drops the slot of a shipper that has ended for good. One that is still read from is refused. See `Driver.letGo`. */
export async function letGoOfSlot(source: PostgresSource, owner: string, context: DriverContext): Promise<void> {
  const address = sourceAddress(source);
  await using connection = await connect({
    address,
    password: sourcePassword(source, address, context.secret),
    what: "Cannot drop PostgreSQL's slot",
    signal: context.signal,
  });
  const name = shipSlotName(owner);
  await connection.query("select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1", [
    name,
  ]);
  context.log("let go of the slot", { slot: name });
}
