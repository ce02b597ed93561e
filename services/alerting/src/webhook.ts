/** How a delivery went. `why` never holds the address: whoever has it can write to the channel. */
export type Delivery = { delivered: true } | { delivered: false; why: string; retryAfterMs?: number };

export async function postJson(url: string, body: unknown, timeoutMs: number): Promise<Delivery> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      redirect: "error",
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.body?.cancel();
    if (response.ok) return { delivered: true };
    const seconds = Number(response.headers.get("retry-after"));
    const asked = Number.isFinite(seconds) && seconds > 0 ? { retryAfterMs: seconds * 1_000 } : {};
    return { delivered: false, why: `HTTP ${response.status}`, ...asked };
  } catch (error) {
    return { delivered: false, why: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  if (error.name === "TimeoutError") return "no answer in time";
  // `fetch failed` hides what happened in its cause; only the code of that, for its message may hold the address.
  const { cause } = error;
  if (cause instanceof Error && "code" in cause && typeof cause.code === "string") return cause.code;
  return error.name;
}
