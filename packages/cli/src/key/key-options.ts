import { configuredOpener } from "@stillpoint/repository/keys/configured-opener";
import type { Opener } from "@stillpoint/repository/keys/opener";
import type { Command } from "commander";
import type { World } from "../world.ts";

/** How a command that opens a repository is told with what. */
export type KeyOptions = { keyFile?: string; kmsKey?: string; transitKey?: string; escrow?: boolean };

export type RepositoryKeyOptions = KeyOptions & { repository: string; json?: boolean };

/** One of them; without any, STILLPOINT_KEY_FILE, STILLPOINT_KMS_KEY or STILLPOINT_TRANSIT_KEY says it. */
export function withKey(command: Command): Command {
  return command
    .option("--key-file <file>", "file (0600) with the passphrase or an age identity")
    .option("--kms-key <arn>", "key of AWS KMS; region and credentials as AWS programs take them")
    .option("--transit-key <name>", "key of Vault's transit engine; the environment says where that is")
    .option("--escrow", "the key file has the identity of an escrow slot");
}

/** The options again, for a command that a person is to paste. */
export function again({ repository, keyFile, kmsKey, transitKey, escrow }: RepositoryKeyOptions): string {
  const words = [`--repository ${quoted(repository)}`];
  if (keyFile !== undefined) words.push(`--key-file ${quoted(keyFile)}`);
  if (kmsKey !== undefined) words.push(`--kms-key ${quoted(kmsKey)}`);
  if (transitKey !== undefined) words.push(`--transit-key ${quoted(transitKey)}`);
  if (escrow) words.push("--escrow");
  return words.join(" ");
}

/** As a shell reads it back. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** What the options name. An identity of escrow opens whatever somebody made for it: a person has to compare. */
export async function openerOf(world: Pick<World, "environment" | "errorLine">, options: KeyOptions): Promise<Opener> {
  const { keyFile, kmsKey, transitKey, escrow } = options;
  if (escrow)
    world.errorLine("opened by escrow: compare the signing key of `stillpoint key list` with the one you know");
  return configuredOpener({ keyFile, kmsKey, transitKey, escrow }, world.environment);
}

/** For an option that may be given again and again. */
export function several(value: string, before: string[]): string[] {
  return [...before, value];
}
