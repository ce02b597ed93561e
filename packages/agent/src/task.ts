import { type ErrorBody, toStillpointError } from "@stillpoint/contracts/errors";

/** Something that runs on its own while it is asked how far it is. Started once; asking again changes nothing. */
export type Task<Result> = {
  state(): TaskState<Result>;
};
export type TaskState<Result> =
  | { state: "working"; doing: string; bytes: number }
  | { state: "done"; result: Result }
  | { state: "failed"; error: ErrorBody };

export type TaskProgress = { doing: string; bytes: number };

export function startTask<Result>(what: string, run: (progress: TaskProgress) => Promise<Result>): Task<Result> {
  const progress: TaskProgress = { doing: what, bytes: 0 };
  let settled: TaskState<Result> | undefined;
  run(progress).then(
    (result) => {
      settled = { state: "done", result };
    },
    (error: unknown) => {
      settled = { state: "failed", error: toStillpointError(error, what).toBody() };
    },
  );
  return { state: () => settled ?? { state: "working", ...progress } };
}
