/** Where a Qdrant server answers, taken apart as its clients take it. */
export type BaseUrl = { https: boolean; host: string; port: number; prefix: string };

const QDRANT_PORT = 6333;

/**
 * A URL without a port means Qdrant's own, not the one of the web: every Qdrant client reads it so, and a user copies the
 * URL from the application's configuration. Read from the text, for a URL object no longer knows that `:80` was written.
 */
export function parseBaseUrl(text: string): BaseUrl {
  const url = new URL(text);
  const written = /^[a-z]+:\/\/[^/?#]*:(\d+)(?:[/?#]|$)/i.exec(text)?.[1];
  return {
    https: url.protocol === "https:",
    host: url.hostname,
    port: written === undefined ? QDRANT_PORT : Number(written),
    prefix: url.pathname.replace(/\/+$/, ""),
  };
}

export function formatBaseUrl({ https, host, port, prefix }: BaseUrl): string {
  return `${https ? "https" : "http"}://${host}:${port}${prefix}`;
}
