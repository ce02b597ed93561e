import { StillpointError } from "@stillpoint/contracts/errors";

/** The archive has no such file: the one failure that PostgreSQL takes for the end of the log. */
export class NotInArchive extends StillpointError {}

/** PostgreSQL takes 1 to 125 for the end of the log, so that of a fetch only one failure has such a code. */
export function exitOfFetch(error: StillpointError): number {
  return error instanceof NotInArchive ? 1 : Math.max(126, error.exit);
}
