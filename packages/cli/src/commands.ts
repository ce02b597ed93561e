import { StillpointError } from "@stillpoint/contracts/errors";
import { uuid } from "@stillpoint/contracts/names";
import { Command } from "commander";
import { backUp } from "./backup.ts";
import { addCareCommands, addRetentionCommands } from "./care/care-commands.ts";
import { rebuildCatalog } from "./catalog.ts";
import { examine } from "./doctor.ts";
import { addGarbageCommands } from "./garbage.ts";
import { addGraphCommands } from "./graph.ts";
import { addKeyCommands } from "./key/key-commands.ts";
import { several, withKey } from "./key/key-options.ts";
import { addPointCommands } from "./point-commands.ts";
import { listPoints, showPoint } from "./points.ts";
import { initialiseRepository } from "./repo.ts";
import { promoteReplica } from "./repo-promote.ts";
import { replicateRepository } from "./repo-replicate.ts";
import { showRepositoryStatus } from "./repo-status.ts";
import { type RestoreOptions, restore } from "./restore.ts";
import { type IntoOptions, restoreIntoServer } from "./restore-into.ts";
import { type MomentOptions, restoreMoment } from "./restore-moment.ts";
import { showLog } from "./show-log.ts";
import { showStatus } from "./status.ts";
import { addTableCommand } from "./table.ts";
import { bringUp } from "./up.ts";
import { validate } from "./validate.ts";
import { addVectorsCommands } from "./vectors.ts";
import { listVersions } from "./versions.ts";
import { addWalCommands } from "./wal/wal-commands.ts";
import type { World } from "./world.ts";

const JSON_OPTION = ["--json", "print the result as one JSON document on standard output"] as const;

/** The `stillpoint` command. Actions throw StillpointError; exit codes are made in one place, main.ts. */
export function program(world: World): Command {
  const command = new Command("stillpoint")
    .description("One recovery point for all your stores, proven by restoring it.")
    .exitOverride()
    .configureOutput({ writeOut: world.out, writeErr: world.error })
    .showHelpAfterError();

  command
    .command("up")
    .description("run the whole system on this machine until Ctrl-C")
    .option("--plans <file>", "your plan file; without it a sample system is started and protected")
    .option("--isolate", "give each service its own process, as compose and Kubernetes do", false)
    .option("--port <port>", "port of the REST interface", "7400")
    .action((options) => bringUp(world, options));

  command
    .command("backup")
    .argument("[plan]", "name of the plan; may be left out where there is one")
    .description("take a recovery point now")
    .option("--no-wait", "answer the run's id and go")
    .option(...JSON_OPTION)
    .action((plan: string | undefined, options) => backUp(world, plan, options));

  withKey(command.command("points"))
    .description("list recovery points, newest first")
    .option("--plan <name>", "of this plan only")
    .option("--repository <url>", "straight from a repository, with no service running: its URL or targets file")
    .option("--limit <count>", "at most this many", "20")
    .option(...JSON_OPTION)
    .action((options) => listPoints(world, options));

  command
    .command("show")
    .argument("<point>", "id of a recovery point", pointId)
    .description("show a recovery point, its backups and its proofs")
    .option(...JSON_OPTION)
    .action((point: string, options) => showPoint(world, point, options));

  command
    .command("validate")
    .argument("<point>", "id of a recovery point", pointId)
    .description("prove a recovery point: restore it into throw-away servers and check it")
    .option(...JSON_OPTION)
    .action((point: string, options) => validate(world, point, options));

  withKey(command.command("restore"))
    .argument("[point]", "id of a recovery point; the newest whole one of the plan where it is left out")
    .description(
      "restore a point, one source or one path of it, into a directory, a bucket back into one, or a Qdrant source into a server",
    )
    .option(
      "--to <place>",
      "a directory; or of a captured bucket s3://bucket/prefix. Must be empty or absent, unless --over is given",
    )
    .option("--plan <name>", "whose newest point")
    .option("--source <name>", "this source only")
    .option("--path <path>", "this file or subtree of the source only")
    .option("--repository <url>", "straight from a repository, with no service running: its URL or targets file")
    .option(
      "--over",
      "the directory may hold a part of the data: write what differs, take away what the point has not; with --repository",
      false,
    )
    .option(
      "--at <moment>",
      "one source, by its log: latest, immediate, a time in UTC, lsn:<position>, tx:<id>, name:<restore point>",
    )
    .option("--exclusive", "with --at: stop before what a time, lsn or tx names, not behind it", false)
    .option(
      "--timeline <timeline>",
      "with --at, of PostgreSQL: a number, current (the newest base's), or latest",
      "latest",
    )
    .option(
      "--recover",
      "with --at, of PostgreSQL: start the server here and recover it, its log fetched as it goes",
      false,
    )
    .option("--action <action>", "with --recover, at the target: promote, pause or shutdown", "promote")
    .option(
      "--patience <duration>",
      "with --recover: for so long a part of the log that cannot be had is tried again, before the server is stopped",
      "60s",
    )
    .option(
      "--tablespace <name=/directory>",
      "where a further tablespace of a PostgreSQL cluster is to lie; else inside the restored directory; may be repeated",
      several,
      [],
    )
    .option("--dry-run", "say what would be restored, and write nothing", false)
    .option("--thaw", "with --repository: ask for what lies in a cold storage class, and wait for it", false)
    .option(...JSON_OPTION)
    .option("--into <url>", "a running Qdrant server: beside what is there, verified, then aliases are switched to it")
    .option(
      "--api-key <reference>",
      "with --into: where its key is: ${env:NAME} or ${file:/path}; never the key itself",
    )
    .option("--peer <url>", "with --into: another peer of its cluster; may be repeated", several, [])
    .option("--collection <name>", "with --into: this one of the point only; may be repeated", several, [])
    .option("--rename <from=to>", "with --into: the name that a collection gets; may be repeated", several, [])
    .option(
      "--in-place",
      "with --into: REPLACE the collections of the same names, once all was verified beside them",
      false,
    )
    .option("--keep-aliases", "with --into: leave the server's aliases where they are", false)
    .option("--work <directory>", "with --into: where the backup is put together; the system's temporary directory")
    .action((point: string | undefined, options) => restoreTo(world, point, options));

  withKey(command.command("log"))
    .description("from which moments to which a source can be restored by its log, and where there is a hole")
    .requiredOption("--plan <name>", "its plan")
    .requiredOption("--source <name>", "its name in the plan")
    .option("--repository <url>", "straight from a repository, with no service running: its URL or targets file")
    .option(...JSON_OPTION)
    .action((options) => showLog(world, options));

  withKey(command.command("versions"))
    .argument("<path>", "a file or directory within a source's tree, such as uploads/report.pdf")
    .description("every version of a file, newest first, and the point that has it")
    .requiredOption("--repository <url>", "its URL (a directory, s3://, azure://, gs://) or targets file")
    .option("--plan <name>", "of this plan only")
    .option("--source <name>", "of this source only")
    .option(...JSON_OPTION)
    .action((path: string, options) => listVersions(world, path, options));

  command
    .command("status")
    .description("what runs, what lives, what was the last point of each plan")
    .option(...JSON_OPTION)
    .action((options) => showStatus(world, options));

  command
    .command("doctor")
    .description("test every connection and permission, and say how to mend what is wrong")
    .option(...JSON_OPTION)
    .action((options) => examine(world, options));

  const repo = command.command("repo").description("the repository itself; needs no service running");
  withKey(repo.command("init"))
    .description("make a repository: an explicit act, no service ever does it")
    .requiredOption("--repository <url>", "its URL (a directory, s3://, azure://, gs://) or targets file")
    .option("--new-identity", "the key file, which is made if absent, gets an age identity, not a passphrase", false)
    .option("--escrow-recipient <age1…>", "whose identity opens it too; may be repeated", several, [])
    .option(
      "--sole-initialiser",
      "nobody else makes a repository there now: for storage that cannot create a name in one step",
      false,
    )
    .option(...JSON_OPTION)
    .action((options) => initialiseRepository(world, options));
  addCareCommands(repo, world);

  withKey(repo.command("status"))
    .description("every target: what lies there, how far it is behind, its locks and classes")
    .requiredOption("--repository <url>", "its targets file, or the URL of its only target")
    .option("--locks", "ask every object for its lock, a call for each", false)
    .option(...JSON_OPTION)
    .action((options) => showRepositoryStatus(world, options));
  withKey(repo.command("replicate"))
    .description("copy what the replicas lack, oldest first, until Ctrl-C; a running vault does this by itself")
    .requiredOption("--repository <file>", "its targets file")
    .option("--once", "one pass, and exit", false)
    .option("--replica <name>", "this one only")
    .option("--take-in <name>", "copy what only this target, an old primary, has into the present primary, and exit")
    .option(...JSON_OPTION)
    .action((options) => replicateRepository(world, options));
  withKey(repo.command("promote"))
    .argument("<target>", "name of a replica in the targets file; `primary` is the one that it calls so")
    .description("make a replica the primary: says what that would mean, and does it with --yes")
    .requiredOption("--repository <file>", "its targets file")
    .option("--dry-run", "say what it would mean, whatever else is said", false)
    .option("--yes", "do it", false)
    .option("--accept-loss", "also where something cannot be copied, or the old primary is out of reach", false)
    .option(...JSON_OPTION)
    .action((target: string, options) => promoteReplica(world, target, options));

  addGarbageCommands(repo, world);

  addPointCommands(command, world);
  addRetentionCommands(command, world);
  addKeyCommands(command, world);
  addGraphCommands(command, world);
  addTableCommand(command, world, pointId);
  addWalCommands(command, world);
  addVectorsCommands(command, world);

  command
    .command("catalog")
    .description("the catalog")
    .command("rebuild")
    .description("make the catalog anew from the repository")
    .option(...JSON_OPTION)
    .action((options) => rebuildCatalog(world, options));

  return command;
}

async function restoreTo(
  world: World,
  point: string | undefined,
  options: RestoreOptions & IntoOptions & MomentOptions,
) {
  const { to, into, at } = options;
  const id = point === undefined ? undefined : pointId(point);
  if ((to === undefined) === (into === undefined))
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot tell where to restore to",
      where: "--to, --into",
      why: "one of the two is needed: a directory, or a running Qdrant server",
    });
  if (at !== undefined && into !== undefined)
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot restore a moment into a running server",
      where: "--at, --into",
      why: "Qdrant has no log that could be followed to it: a point is one of the moments there are",
    });
  if (at !== undefined) return await restoreMoment(world, options);
  return await (into === undefined ? restore(world, id, options) : restoreIntoServer(world, id, options));
}

function pointId(text: string): string {
  const parsed = uuid.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new StillpointError("INVALID_REQUEST", {
    what: "That is not the id of a recovery point",
    where: text,
    hint: "see `stillpoint points`",
  });
}
