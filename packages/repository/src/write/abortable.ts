/** The promise, or the signal's reason where that comes first. What the promise stands for goes on. */
export async function abortable<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  return await Promise.race([promise, aborted]).finally(() => signal.removeEventListener("abort", abort));
}

/** The source until it ends or the signal fires, even while the source stands still. */
export async function* untilAborted<Item>(source: AsyncIterable<Item>, signal: AbortSignal): AsyncGenerator<Item> {
  const items = source[Symbol.asyncIterator]();
  let isOpen = true;
  // One listener for all items: to add and remove one for each took as long as to copy its bytes.
  let abort = () => {};
  const onAbort = () => abort();
  signal.addEventListener("abort", onAbort);
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await new Promise<IteratorResult<Item>>((resolve, reject) => {
        abort = () => reject(signal.reason);
        items.next().then(resolve, reject);
      });
      isOpen = next.done !== true;
      if (next.done) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    // Not waited for: a source that stands still would hold up the end. It has nobody left to tell of a failure.
    if (isOpen) items.return?.().catch(() => undefined);
  }
}
