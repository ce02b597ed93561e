import { StillpointError } from "@stillpoint/contracts/errors";
import { parse } from "pg-connection-string";

/** As in libpq's URLs; the last three name files, which are read when a connection is opened. */
export const TLS_PARAMETERS = ["sslmode", "sslrootcert", "sslcert", "sslkey"] as const;
export type TlsParameters = Partial<Record<(typeof TLS_PARAMETERS)[number], string>>;

const MODES = ["disable", "prefer", "require", "verify-ca", "verify-full"];

/** Takes the parameters out of a URL. A mode that is not known must not be taken for a weaker one. */
export function takeTlsParameters(url: URL): TlsParameters {
  const taken: TlsParameters = {};
  for (const name of TLS_PARAMETERS) {
    const value = url.searchParams.get(name);
    if (value !== null) taken[name] = value;
    url.searchParams.delete(name);
  }
  if (taken.sslmode === undefined || MODES.includes(taken.sslmode)) return taken;
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot use the source's URL",
    where: `sslmode=${taken.sslmode}`,
    why: `it is none of ${MODES.join(", ")}`,
  });
}

/** What Node's TLS is given. libpq's meaning of sslmode, which people know: `require` encrypts, `verify-full` also checks the name. */
export function tlsOptions(parameters: TlsParameters): boolean | object {
  if (Object.keys(parameters).length === 0) return false;
  try {
    const { ssl } = parse(`postgres://host/?${new URLSearchParams(parameters)}`, { useLibpqCompat: true });
    return typeof ssl === "object" ? ssl : ssl === true;
  } catch (error) {
    const isMissing = error instanceof Error && "path" in error;
    throw new StillpointError(isMissing ? "SECRET_MISSING" : "INVALID_REQUEST", {
      what: "Cannot use the source's certificates",
      where: isMissing ? String(error.path) : "sslrootcert, sslcert and sslkey of the url",
      why: error instanceof Error ? error.message : String(error),
      ...(isMissing ? { hint: "create the file and make it readable for the agent of this source" } : {}),
      cause: error,
    });
  }
}

/** What a connection's failure says of its encryption, where it is that. */
export function tlsHint(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error.message.includes("does not support SSL"))
    return "switch ssl on at the server, or say ?sslmode=disable in the url";
  const code = "code" in error ? String(error.code) : "";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return "the server's certificate is for another name: use that name in the url, or sslmode=verify-ca";
  if (/CERT|SELF_SIGNED|VERIFY|ISSUER/.test(code))
    return "name the authority that signed the server's certificate: ?sslmode=verify-full&sslrootcert=/path/ca.pem";
  return undefined;
}
