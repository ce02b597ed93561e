import { readFile } from "node:fs/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import { Secret } from "@stillpoint/contracts/secret";
import { readKeyFile } from "../key-file.ts";
import { kmsOpener } from "./aws-kms.ts";
import type { Opener } from "./opener.ts";
import { openerFromFile } from "./opener-file.ts";
import type { PassphraseOptions } from "./passphrase.ts";
import { transitOpener } from "./vault-transit.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** At most one of them; the ones that are left out are looked for in the environment. */
export type KeyChoice = {
  /** A passphrase or an age identity. */
  keyFile?: string | undefined;
  /** ARN, id or alias. */
  kmsKey?: string | undefined;
  /** `name`, or `mount/name`. */
  transitKey?: string | undefined;
  /** The key file has the identity of an escrow slot. */
  escrow?: boolean | undefined;
};

const NAMES = { keyFile: "STILLPOINT_KEY_FILE", kmsKey: "STILLPOINT_KMS_KEY", transitKey: "STILLPOINT_TRANSIT_KEY" };

/** Exactly one of them. */
export function chosenKey(choice: KeyChoice, environment: Environment): KeyChoice {
  const { keyFile, kmsKey, transitKey, escrow } = choice;
  const named = { keyFile, kmsKey, transitKey };
  const given = Object.values(named).filter((value) => value !== undefined).length;
  const chosen: KeyChoice =
    given > 0
      ? named
      : Object.fromEntries(Object.entries(NAMES).map(([field, name]) => [field, environment[name] || undefined]));
  const count = Object.values(chosen).filter((value) => value !== undefined).length;
  if (count === 1) return { ...chosen, escrow };
  throw new StillpointError(given > 0 ? "INVALID_REQUEST" : "CONFIG_INVALID", {
    what: "Cannot tell which key opens the repository",
    where: "--key-file, --kms-key, --transit-key",
    why: count === 0 ? "none is given, and none of the variables is set" : "more than one is given",
    hint: `give one of them, or set one of ${Object.values(NAMES).join(", ")}`,
  });
}

/** Vault's transit engine, with address, token and authority as the environment says. */
export async function transitFrom(transitKey: string, environment: Environment): Promise<Opener> {
  const address = environment.STILLPOINT_TRANSIT_URL || environment.VAULT_ADDR;
  if (address === undefined || !/^https?:\/\/[^@]+$/.test(address))
    throw new StillpointError("CONFIG_INVALID", {
      what: "Cannot use Vault's transit engine",
      where: "STILLPOINT_TRANSIT_URL",
      why: address === undefined ? "it is not set" : "it is no http(s) address without credentials",
      hint: "set it (or VAULT_ADDR) to the address of Vault, such as https://vault:8200",
    });
  const at = transitKey.lastIndexOf("/");
  const caFile = environment.STILLPOINT_TRANSIT_CA_FILE || environment.VAULT_CACERT;
  const tokenFile = environment.STILLPOINT_TRANSIT_TOKEN_FILE;
  const token = environment.STILLPOINT_TRANSIT_TOKEN || environment.VAULT_TOKEN;
  if (!tokenFile && !token)
    throw new StillpointError("SECRET_MISSING", {
      what: "Cannot use Vault's transit engine",
      where: "STILLPOINT_TRANSIT_TOKEN_FILE",
      why: "no token is given",
      hint: "name a file with the token in it, or set STILLPOINT_TRANSIT_TOKEN or VAULT_TOKEN",
    });
  return transitOpener({
    address,
    key: transitKey.slice(at + 1),
    ...(at < 0 ? {} : { mount: transitKey.slice(0, at) }),
    token: async () => (tokenFile ? readKeyFile(tokenFile) : new Secret(token ?? "")),
    ca: caFile ? await readFile(caFile, "utf8") : undefined,
    namespace: environment.VAULT_NAMESPACE || undefined,
  });
}

/** What opens the repository: the one that is named, or else the one that the environment names. */
export async function configuredOpener(
  choice: KeyChoice,
  environment: Environment,
  passphrase: PassphraseOptions = {},
): Promise<Opener> {
  const { keyFile, kmsKey, transitKey, escrow = false } = chosenKey(choice, environment);
  if (keyFile !== undefined) return openerFromFile(keyFile, { ...passphrase, escrow });
  if (kmsKey !== undefined) return kmsOpener({ key: kmsKey, environment });
  return transitFrom(transitKey ?? "", environment);
}
