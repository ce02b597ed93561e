import { Argument, type Command } from "commander";
import type { World } from "../world.ts";
import { addKey, exportKey, KEY_METHODS, newKeyEpoch, removeKey, rotateKey } from "./change-keys.ts";
import { several, withKey } from "./key-options.ts";
import { listKeys, testKeys } from "./list-keys.ts";

const JSON_OPTION = ["--json", "print the result as one JSON document on standard output"] as const;
const YES = ["--yes", "do it without asking", false] as const;
const DRY = ["--dry-run", "say what would be done, and do nothing", false] as const;
const ALSO_KEY_FILE = ["--also-key-file <file>", "a further passphrase or identity; may be repeated"] as const;

function keyCommand(parent: Command, name: string, description: string): Command {
  const command = parent
    .command(name)
    .description(description)
    .requiredOption("--repository <url>", "its URL or targets file");
  return withKey(command).option(...JSON_OPTION);
}

/** `stillpoint key …`: what opens the repository. Secrets come from files, the environment or the terminal, never as options. */
export function addKeyCommands(program: Command, world: World): void {
  const key = program.command("key").description("what opens the repository; needs no service running");
  keyCommand(key, "list", "every key slot, and when it is due")
    .option("--unopened", "without a key: what the slots say of themselves", false)
    .action((options) => listKeys(world, options));
  keyCommand(key, "test", "really open every key slot that what is given is for")
    .option(...ALSO_KEY_FILE, several, [])
    .action((options) => testKeys(world, options));
  keyCommand(key, "add", "a further way to open the repository; read back and opened before it is called done")
    .addArgument(new Argument("<method>", "what kind of key").choices(KEY_METHODS))
    .argument("[target]", "which: a file (made if absent), an ARN, a name, an age recipient")
    .option("--label <words>", "for people: where it is, whose it is")
    .option("--new-identity", "a key file that is made holds an age identity instead of a passphrase", false)
    .action((method, target: string | undefined, options) => addKey(world, method, target, options));
  keyCommand(key, "remove", "retire a key slot, and delete it where the target allows; not the one that opens now")
    .argument("<slot>", "its id: see `stillpoint key list`")
    .option(...DRY)
    .option(...YES)
    .action((slot: string, options) => removeKey(world, slot, options));
  keyCommand(
    key,
    "rotate",
    "replace the key that opens now: a new one into the key file, or wrapped anew by the key service",
  )
    .option(...DRY)
    .option(...YES)
    .action((options) => rotateKey(world, options));
  keyCommand(key, "new-epoch", "after a suspected leak: a new repository key for what is written from now on")
    .option("--without <slot>", "a key slot that is given up; may be repeated", several, [])
    .option(...ALSO_KEY_FILE, several, [])
    .option("--also-kms-key <arn>", "a further key of AWS KMS; may be repeated", several, [])
    .option("--also-transit-key <name>", "a further key of Vault; may be repeated", several, [])
    .option(...DRY)
    .option(...YES)
    .action((options) => newKeyEpoch(world, options));
  keyCommand(key, "export", "print a recovery sheet with a new passphrase of its own, once")
    .option("--label <words>", "for people: which safe it goes to")
    .option(...YES)
    .action((options) => exportKey(world, options));
}
