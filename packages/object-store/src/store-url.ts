import { isAbsolute, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { StillpointError } from "@stillpoint/contracts/errors";

/** What a URL says of where the objects lie. Credentials never stand in it. */
export type StorePlace =
  | { kind: "directory"; directory: string }
  | {
      kind: "s3" | "azure" | "gcs";
      /** A container of Azure's counts as one. */
      bucket: string;
      /** `""`, or components that end in `/`. */
      prefix: string;
      parameters: Readonly<Record<string, string>>;
    };

const SCHEMES = {
  "s3:": { kind: "s3", parameters: ["endpoint", "region"] },
  "azure:": { kind: "azure", parameters: ["endpoint", "account"] },
  "gs:": { kind: "gcs", parameters: ["endpoint", "credentials"] },
} as const;

function invalid(url: string, why: string): StillpointError {
  return new StillpointError("CONFIG_INVALID", {
    what: "Not the URL of an object store",
    where: url.replace(/\/\/[^/@]*@/, "//…@"),
    why,
    hint: "write /directory, file:///directory, s3://bucket/prefix?endpoint=https://host&region=name, azure://container/prefix?account=name or gs://bucket/prefix",
  });
}

/** The directory that a plain path or `file://` URL names, or undefined for another kind of URL. */
function directoryOf(url: string): string | undefined {
  if (url.startsWith("file:")) return URL.canParse(url) ? fileURLToPath(url) : undefined;
  if (isAbsolute(url) || !/^[a-z0-9+.-]+:/i.test(url)) return resolve(url);
  return undefined;
}

export function parseStoreUrl(text: string): StorePlace {
  const directory = directoryOf(text);
  if (directory !== undefined) return { kind: "directory", directory };
  if (!URL.canParse(text)) throw invalid(text, "it cannot be parsed");
  const url = new URL(text);
  const scheme = Object.entries(SCHEMES).find(([protocol]) => protocol === url.protocol)?.[1];
  if (scheme === undefined) throw invalid(text, "its scheme is not known");
  if (url.username !== "" || url.password !== "") throw invalid(text, "credentials are given in the environment only");
  if (url.hostname === "") throw invalid(text, "it names no bucket");
  const known: readonly string[] = scheme.parameters;
  const unknown = [...url.searchParams.keys()].find((key) => !known.includes(key));
  if (unknown !== undefined) throw invalid(text, `unknown parameter ${unknown}`);
  const parameters = Object.fromEntries(url.searchParams);
  if (parameters.endpoint !== undefined && !/^https?:\/\/[^/@]+(\/|$)/.test(parameters.endpoint))
    throw invalid(text, "endpoint must be http(s)://host, without credentials");
  if (parameters.credentials !== undefined && parameters.credentials !== "none")
    throw invalid(text, "credentials can be none, and nothing else");
  const path = url.pathname.replace(/^\/+|\/+$/g, "");
  const prefix = path === "" ? "" : `${decodeURIComponent(path)}/`;
  return { kind: scheme.kind, bucket: url.hostname, prefix, parameters };
}

/**
 * The URL that a store goes by: two stores never share one, for promotions, indexes on disk and plans tell them apart by it.
 * Containers of two accounts, and buckets of two servers, may have one name.
 */
export function storeUrl(
  scheme: "s3" | "azure" | "gs",
  {
    bucket,
    prefix,
    account,
    endpoint,
  }: { bucket: string; prefix: string; account?: string; endpoint?: string | undefined },
): string {
  const parameters = Object.entries({ account, endpoint: endpoint?.replace(/\/$/, "") }).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value).replaceAll("%3A", ":").replaceAll("%2F", "/")}`],
  );
  const path = `${scheme}://${bucket}/${prefix}`.replace(/\/$/, "");
  return parameters.length === 0 ? path : `${path}?${parameters.join("&")}`;
}
