import { changeLog } from "../changes/change-log.ts";
import { primaryGuard } from "../replicas/primary.ts";
import type { KeyContext } from "./key-context.ts";

function guardOf(context: KeyContext) {
  return primaryGuard(changeLog(context), { name: context.target, url: context.store.url });
}

/** Throws NOT_PRIMARY where another target is the primary: nothing copies a key slot from here to it. */
export function assertOnPrimary(context: KeyContext): Promise<void> {
  return guardOf(context).assertPrimary();
}

/** Work that changes key slots: refused where another is the primary, and not answered as done where that was said meanwhile. */
export function onPrimary<Result>(context: KeyContext, work: () => Promise<Result>): Promise<Result> {
  return guardOf(context).guarded(work);
}
