import { on } from "@stillpoint/bus/project";
import { StillpointError } from "@stillpoint/contracts/errors";
import {
  backupStored,
  pointDeleted,
  pointSealed,
  proofSealed,
  runFailed,
  runFinished,
  runStarted,
} from "@stillpoint/contracts/events";
import {
  catalogRebuild,
  queryBackup,
  queryBackups,
  queryPoint,
  queryPoints,
  queryRun,
  queryRuns,
} from "@stillpoint/contracts/queries";
import { vaultList } from "@stillpoint/contracts/vault";
import { defineService } from "@stillpoint/service/define-service";
import { catalogConfig } from "./config.ts";
import { openDatabase, toCatalogError } from "./database.ts";
import { ping, readBackup, readBackups, readPoint, readPoints, readRun, readRuns } from "./read.ts";
import { isComplete, type ListRepository, rebuild } from "./rebuild.ts";
import { forgetPoint, recordBackup, recordPoint, recordProof } from "./record.ts";
import { recordRunFailed, recordRunFinished, recordRunStarted } from "./record-run.ts";

const QUEUE = { queue: "catalog" };
const LIST_TIMEOUT_MS = 30_000;
const FILL_RETRY_MS = 2_000;
const PING_MS = 10_000;

/** What happened, as tables: a projection of events, rebuilt from the repository at will. */
export const service = defineService({
  name: "catalog",
  config: catalogConfig,
  async start(context, resources) {
    const { bus, log } = context;
    const database = await openDatabase(context.config);
    resources.defer(() => database.destroy());
    const guarded = async <Result>(what: string, work: () => Promise<Result>): Promise<Result> => {
      try {
        return await work();
      } catch (error) {
        throw toCatalogError(error, what);
      }
    };
    const list: ListRepository = (asked) => bus.request(vaultList, {}, asked, { timeoutMs: LIST_TIMEOUT_MS });
    const projecting =
      <Fact>(record: (fact: Fact) => Promise<void>) =>
      (fact: Fact) =>
        guarded("Cannot project an event", () => record(fact));

    resources.use(
      await bus.projectEvents("catalog", [
        on(
          pointSealed,
          projecting(({ body }) => recordPoint(database, body.point)),
        ),
        on(
          pointDeleted,
          projecting(({ body }) => forgetPoint(database, body.pointId)),
        ),
        on(
          backupStored,
          projecting(({ body }) => recordBackup(database, body.figures)),
        ),
        on(
          proofSealed,
          projecting(({ body }) => recordProof(database, body.proof)),
        ),
        on(
          runStarted,
          projecting(({ body }) => recordRunStarted(database, body)),
        ),
        on(
          runFinished,
          projecting(({ body }) => recordRunFinished(database, body)),
        ),
        on(
          runFailed,
          projecting(({ body }) => recordRunFailed(database, body)),
        ),
      ]),
    );
    const what = "Cannot read the catalog";
    resources.use(await bus.answer(queryPoints, QUEUE, ({ body }) => guarded(what, () => readPoints(database, body))));
    resources.use(
      await bus.answer(queryPoint, QUEUE, ({ body }) => guarded(what, () => readPoint(database, body.pointId))),
    );
    resources.use(
      await bus.answer(queryBackups, QUEUE, ({ body }) => guarded(what, () => readBackups(database, body))),
    );
    resources.use(
      await bus.answer(queryBackup, QUEUE, ({ body }) => guarded(what, () => readBackup(database, body.backupId))),
    );
    resources.use(await bus.answer(queryRuns, QUEUE, ({ body }) => guarded(what, () => readRuns(database, body))));
    resources.use(await bus.answer(queryRun, QUEUE, ({ body }) => guarded(what, () => readRun(database, body.runId))));
    resources.use(
      await bus.answer(catalogRebuild, QUEUE, () =>
        guarded("Cannot rebuild the catalog", () => rebuild(database, list)),
      ),
    );

    let answers = true;
    context.readyWhen("database", () => answers);
    resources.use(
      context.every(PING_MS, async () => {
        answers = await ping(database).then(
          () => true,
          () => false,
        );
      }),
    );

    // Tables that were just made know nothing of what was sealed before: events of it may be long acknowledged.
    if (await isComplete(database)) return;
    let isFilled = false;
    resources.use(
      context.every(FILL_RETRY_MS, async () => {
        if (isFilled) return;
        try {
          const rebuilt = await rebuild(database, list);
          isFilled = true;
          log.info(rebuilt, "catalog made from the repository");
        } catch (error) {
          // The vault may start after us; until then the events that come are projected all the same.
          if (!(error instanceof StillpointError && error.retry === "backoff")) throw error;
        }
      }),
    );
  },
});
