import { headers, type MsgHdrs } from "@nats-io/transport-node";
import { SUBJECT_ROOT } from "@stillpoint/contracts/messages";
import { toInstant } from "@stillpoint/contracts/names";
import type { Connection } from "./connection.ts";
import { nextTraceparent } from "./trace.ts";

/** CloudEvents in binary mode: the body is the data, these carry the rest. */
export function cloudEventHeaders(connection: Connection, template: string, subject: string, id: string): MsgHdrs {
  const all = headers();
  all.set("ce-specversion", "1.0");
  all.set("ce-id", id);
  all.set("ce-source", `/stillpoint/${connection.name}`);
  all.set("ce-type", typeOf(template));
  all.set("ce-subject", subject.slice(SUBJECT_ROOT.length + 1));
  all.set("ce-time", toInstant(connection.clock.now()));
  all.set("content-type", "application/json");
  all.set("traceparent", nextTraceparent(connection.random));
  return all;
}

/** `evt.point.{pointId}.sealed` is of type `stillpoint.v1.evt.point.sealed`. */
function typeOf(template: string): string {
  const words = template.split(".").filter((word) => !word.startsWith("{"));
  return [SUBJECT_ROOT, ...words].join(".");
}

export function headerOf(all: MsgHdrs | undefined, key: string): string | undefined {
  const value = all?.get(key) ?? "";
  return value === "" ? undefined : value;
}
