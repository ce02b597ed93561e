/** A process that holds a capture until it is killed. Its arguments are the source's port, user and a directory. */
import { postgresDriver } from "../src/postgres-driver.ts";
import { contextFor, sourceOf } from "./subject.ts";

const [, , port = "", user = "", directory = ""] = process.argv;
const server = { port: Number(port), user, password: process.env.PASSWORD ?? "", binDirectory: "", url: () => "" };
const capture = await postgresDriver.open(
  sourceOf(server),
  contextFor(server, directory, new AbortController().signal),
);
process.stdout.write(`${capture.description.version}\n`);
setInterval(() => undefined, 60_000);
