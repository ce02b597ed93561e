import type { Capture, Description } from "@stillpoint/driver/driver";
import type { Driver } from "neo4j-driver";
import type { ServerFacts } from "./server-facts.ts";

/** A source that answers over Bolt, with what it said of itself. Who opened the driver closes it. */
export type BoltSource = {
  driver: Driver;
  database: string;
  /** Host and port, for people. */
  where: string;
  facts: ServerFacts;
  description: Description;
};

/** A capture but for its end. */
export type CaptureSteps = Omit<Capture, typeof Symbol.asyncDispose>;
