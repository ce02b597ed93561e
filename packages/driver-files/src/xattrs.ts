import type { SystemCalls } from "@stillpoint/direct-io/system-calls";
import type { Xattrs } from "./scan.ts";

/**
 * What belongs to a file wherever it lies: what people and programs noted on it, access lists, capabilities. Labels of a
 * security module and what file systems note for themselves belong to a machine, and are left to it.
 */
const KEPT = /^(user\.|system\.posix_acl_(access|default)$|security\.capability$)/;

/** Undefined where there are none. */
export function keptAttributes(
  { attributeNames, attribute }: Pick<SystemCalls, "attributeNames" | "attribute">,
  path: string,
): Xattrs | undefined {
  const found = attributeNames(path)
    .filter((name) => KEPT.test(name))
    .sort()
    .flatMap((name) => {
      const value = attribute(path, name);
      return value === undefined ? [] : [[name, value] as const];
    });
  return found.length === 0 ? undefined : Object.fromEntries(found);
}
