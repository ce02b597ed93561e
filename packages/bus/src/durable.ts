import type { ConsumerConfig, ConsumerInfo } from "@nats-io/jetstream";
import type { SubjectParameters } from "@stillpoint/contracts/messages";
import type { Connection } from "./connection.ts";
import { API, hasApiCode } from "./failure.ts";
import { persist } from "./persist.ts";
import { assertConfig } from "./topology.ts";

/**
 * The durable of a command: its words and the parameters that are given, so that every taker of the same work shares one:
 * `cmd.capture.{kind}.{site}.{plan}.{source}` with kind and site is `capture-postgres-default`.
 */
export function durableOf<Subject extends string>(
  template: Subject,
  parameters: Partial<SubjectParameters<Subject>>,
): string {
  const values: Readonly<Record<string, string | undefined>> = parameters;
  const words = template.split(".").flatMap((word) => {
    const parameter = /^\{(\w+)\}$/.exec(word)?.[1];
    if (parameter === undefined) return [word];
    const value = values[parameter];
    return value === undefined ? [] : [value];
  });
  return words.filter((word, at) => !(at === 0 && word === "cmd")).join("-");
}

type DurableConfig = Partial<ConsumerConfig> & { durable_name: string };

/** Makes the durable consumer what it is to be; any number of processes may do so at once. */
export async function ensureDurable(
  connection: Connection,
  stream: string,
  config: DurableConfig,
): Promise<ConsumerInfo> {
  const where = `${stream}.${config.durable_name}`;
  const info = await persist(connection, "Cannot make a durable consumer", where, async () => {
    try {
      return await connection.jsm.consumers.add(stream, config);
    } catch (error) {
      if (!hasApiCode(error, API.CONSUMER_EXISTS_OTHERWISE)) throw error;
      const { durable_name, deliver_policy: _, ack_policy: __, ...updatable } = config; // the server refuses to change these
      return connection.jsm.consumers.update(stream, durable_name, updatable);
    }
  });
  assertConfig(config, info.config, where);
  return info;
}
