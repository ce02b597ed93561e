/** Does something again and again until it is disposed of; what it throws is thrown by the next `check`. */
export interface Watch extends AsyncDisposable {
  check(): void;
}

export function watch(everyMs: number, act: () => Promise<void>): Watch {
  let failure: { error: unknown } | undefined;
  let last = Promise.resolve();
  let isBusy = false;
  const timer = setInterval(() => {
    if (isBusy || failure !== undefined) return;
    isBusy = true;
    last = act()
      .catch((error: unknown) => {
        failure = { error };
      })
      .finally(() => {
        isBusy = false;
      });
  }, everyMs);
  timer.unref();
  return {
    check() {
      if (failure !== undefined) throw failure.error;
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await last;
    },
  };
}
