import type { BusCredentials } from "@stillpoint/bus/connection";
import type { InstallationSettings } from "@stillpoint/contracts/settings";

type CredentialSettings = Pick<
  InstallationSettings,
  "STILLPOINT_NATS_TOKEN" | "STILLPOINT_NATS_NKEY" | "STILLPOINT_NATS_CREDS"
>;

/** What a process proves itself with at NATS, if it was given anything. */
export function credentialsOf(settings: Readonly<CredentialSettings>): BusCredentials | undefined {
  const { STILLPOINT_NATS_TOKEN: token, STILLPOINT_NATS_NKEY: seed, STILLPOINT_NATS_CREDS: creds } = settings;
  if (token !== undefined) return { type: "token", token };
  if (seed !== undefined) return { type: "nkey", seed };
  if (creds !== undefined) return { type: "creds", creds };
  return undefined;
}
