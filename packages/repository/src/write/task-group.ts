/**
 * Work under way whose first failure ends all of it. `ended` resolves when nothing is under way any more; it never rejects,
 * the failure is thrown by `check`.
 */
export function taskGroup(controller: AbortController) {
  const under = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;

  function fail(error: unknown): void {
    failure ??= { error };
    controller.abort(failure.error);
  }

  return {
    fail,
    spawn(work: () => Promise<void>): void {
      const running: Promise<void> = work()
        .catch(fail)
        .finally(() => under.delete(running));
      under.add(running);
    },
    check(): void {
      if (failure !== undefined) throw failure.error;
    },
    async ended(): Promise<void> {
      while (under.size > 0) await Promise.all(under);
    },
  };
}
