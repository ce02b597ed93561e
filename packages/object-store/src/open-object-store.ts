import { mkdir } from "node:fs/promises";
import { isAbsolute, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { StillpointError } from "@stillpoint/contracts/errors";
import { Secret } from "@stillpoint/contracts/secret";
import { directoryStore } from "./directory.ts";
import { fromErrno } from "./directory-errors.ts";
import type { ObjectStore } from "./object-store.ts";
import { withRetry } from "./retry.ts";
import { s3Store } from "./s3.ts";

type Environment = Readonly<Record<string, string | undefined>>;

function invalid(url: string, why: string): StillpointError {
  return new StillpointError("CONFIG_INVALID", {
    what: "Not the URL of an object store",
    where: url.replace(/\/\/[^/@]*@/, "//…@"),
    why,
    hint: "write /directory, file:///directory or s3://bucket/prefix?endpoint=https://host&region=name",
  });
}

function credential(environment: Environment, name: string): Secret {
  const value = environment[name];
  if (value !== undefined && value !== "") return new Secret(value);
  throw new StillpointError("SECRET_MISSING", {
    what: "Cannot open the object store",
    where: `environment variable ${name}`,
    why: "it is not set in this process",
    hint: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY and start again",
  });
}

function openS3(text: string, environment: Environment): ObjectStore {
  if (!URL.canParse(text)) throw invalid(text, "it cannot be parsed");
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") throw invalid(text, "credentials are given in the environment only");
  if (url.hostname === "") throw invalid(text, "it names no bucket");
  const unknown = [...url.searchParams.keys()].find((key) => key !== "endpoint" && key !== "region");
  if (unknown !== undefined) throw invalid(text, `unknown parameter ${unknown}`);
  const endpoint = url.searchParams.get("endpoint") ?? undefined;
  if (endpoint !== undefined && !/^https?:\/\/[^/]/.test(endpoint)) throw invalid(text, "endpoint must be http(s)://…");
  const path = url.pathname.replace(/^\/+|\/+$/g, "");
  const token = environment.AWS_SESSION_TOKEN;
  return s3Store({
    bucket: url.hostname,
    prefix: path === "" ? "" : `${decodeURIComponent(path)}/`,
    region: url.searchParams.get("region") ?? environment.AWS_REGION ?? "us-east-1",
    endpoint,
    accessKeyId: credential(environment, "AWS_ACCESS_KEY_ID"),
    secretAccessKey: credential(environment, "AWS_SECRET_ACCESS_KEY"),
    ...(token ? { sessionToken: new Secret(token) } : {}),
  });
}

/** The directory that a plain path or `file://` URL names, or undefined for another kind of URL. */
function directoryOf(url: string): string | undefined {
  if (url.startsWith("file:")) return URL.canParse(url) ? fileURLToPath(url) : undefined;
  if (isAbsolute(url) || !/^[a-z0-9+.-]+:/i.test(url)) return resolve(url);
  return undefined;
}

export type OpenObjectStoreOptions = {
  /** S3 credentials come from here alone: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN; AWS_REGION too. */
  environment: Environment;
  /** Make the directory where it is missing. Only who makes a new repository wants that. */
  create?: boolean;
  random?: () => number;
};

/** The storage that a URL names, behind the retry wrapper. Nothing is asked of it yet. */
export async function openObjectStore(url: string, options: OpenObjectStoreOptions): Promise<ObjectStore> {
  const retry = {
    random: options.random ?? Math.random,
    sleep: async (ms: number, signal?: AbortSignal) => {
      await sleep(ms, undefined, signal === undefined ? {} : { signal });
    },
  };
  if (url.startsWith("s3:")) return withRetry(openS3(url, options.environment), retry);
  const directory = directoryOf(url);
  if (directory === undefined) throw invalid(url, "its scheme is not known");
  if (options.create === true)
    await mkdir(directory, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
      throw fromErrno(error, "Cannot create the directory of the repository", directory);
    });
  return withRetry(directoryStore(directory), retry);
}
