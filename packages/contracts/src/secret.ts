import { inspect } from "node:util";
import { z } from "zod";
import { StillpointError } from "./errors.ts";

/** A value that is never printed: string conversion, JSON and inspection give a placeholder. `reveal()` is the one way in. */
export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  reveal(): string {
    return this.#value;
  }
  toString(): string {
    return "[redacted]";
  }
  toJSON(): string {
    return "[redacted]";
  }
  [inspect.custom](): string {
    return "[redacted]";
  }
}

/** Where a secret is to be found, `${env:NAME}` or `${file:/path}`: the only form that plans, messages and manifests hold. */
export const secretReference = z
  .string()
  .regex(
    /^\$\{(env:[A-Za-z_][A-Za-z0-9_]*|file:\/[^}]+)\}$/,
    "must be ${env:NAME} or ${file:/path}, never the secret itself",
  );

export type SecretReaders = {
  environment: Readonly<Record<string, string | undefined>>;
  readFile: (path: string) => string;
};

/** Looks a reference up where this process runs. A file's trailing newline is not part of the secret. */
export function resolveSecret(reference: string, readers: SecretReaders): Secret {
  const match = /^\$\{(env|file):(.+)\}$/.exec(secretReference.parse(reference));
  const [, from, at] = match ?? [];
  if (at === undefined) throw new TypeError("unreachable: the reference was parsed");
  if (from === "env") {
    const value = readers.environment[at];
    if (value !== undefined) return new Secret(value);
    throw new StillpointError("SECRET_MISSING", {
      what: "Cannot read a secret",
      where: `environment variable ${at}`,
      why: "it is not set in this process",
      hint: `set ${at} for the agent of this source and start it again`,
    });
  }
  try {
    return new Secret(readers.readFile(at).replace(/\r?\n$/, ""));
  } catch (error) {
    throw new StillpointError("SECRET_MISSING", {
      what: "Cannot read a secret",
      where: at,
      why: error instanceof Error ? error.message : String(error),
      hint: "create the file and make it readable for the agent of this source",
      cause: error,
    });
  }
}
