import type { SourceOfPlan } from "./source-log.ts";

const CAPTURED = /^[0-9a-f-]{36}_([a-z0-9-]{1,40})_\d+_[a-z]+\d+$/;
const SHIPPED = /^([a-z0-9-]{1,40})_([a-z0-9-]{1,40})_[A-Za-z0-9]+(?:_[A-Za-z0-9]+_[A-Za-z0-9]+)?_\d+$/;

/** Pure: whether an id is one that a capture or a shipper of another source gives; of any other id its manifest decides. */
export function isOfAnother(backupId: string, { plan, source }: SourceOfPlan): boolean {
  const captured = CAPTURED.exec(backupId);
  if (captured !== null) return captured[1] !== source;
  const shipped = SHIPPED.exec(backupId);
  return shipped !== null && (shipped[1] !== plan || shipped[2] !== source);
}
