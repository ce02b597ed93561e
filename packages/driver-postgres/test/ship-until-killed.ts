/** A process that ships until it is killed. Its arguments are the source's port, user and the sink's directory. */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { postgresDriver } from "../src/postgres-driver.ts";
import { directorySink, heldIn } from "./directory-sink.ts";
import { shipOptions } from "./ship-options.ts";
import { contextFor, sourceOf } from "./subject.ts";

const [, , port = "", user = "", directory = ""] = process.argv;
const server = { port: Number(port), user, password: process.env.PASSWORD ?? "", binDirectory: "", url: () => "" };
const never = new AbortController().signal;
const own = join(directory, "making-spool");
await mkdir(own, { recursive: true });
const from = await heldIn(directory);
await postgresDriver.ship?.(
  sourceOf(server),
  shipOptions({
    owner: "shop/orders",
    ...(from === undefined ? {} : { from }),
    sink: directorySink(directory),
    progress: ({ held }) => void process.stdout.write(`${held.stream} ${held.at}\n`),
    stop: never,
  }),
  contextFor(server, own, never),
);
