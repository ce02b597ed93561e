import { StillpointError } from "@stillpoint/contracts/errors";
import { Secret } from "@stillpoint/contracts/secret";
import type { PostgresSource } from "@stillpoint/contracts/source";
import type { SourceAddress } from "./source-address.ts";

/** The password that the plan points to; undefined where it points to none, such as with a client certificate. */
export function sourcePassword(
  { password, passfile }: PostgresSource,
  address: SourceAddress,
  secret: (reference: string) => Secret,
): Secret | undefined {
  if (password !== undefined) return secret(password);
  if (passfile === undefined) return undefined;
  const found = passwordFor(secret(`\${file:${passfile}}`).reveal(), address);
  if (found !== undefined) return new Secret(found);
  const { host, port, database, user } = address;
  throw new StillpointError("SECRET_MISSING", {
    what: "Cannot connect to PostgreSQL",
    where: passfile,
    why: `no line of it is for ${host}:${port}:${database}:${user}`,
    hint: `add one: ${host}:${port}:*:${user}:<password>`,
  });
}

const FIELD = String.raw`((?:\\.|[^:\\])*)`;
const LINE = new RegExp(`^${Array(5).fill(FIELD).join(":")}`);

/** The first line of a `.pgpass` that fits: `host:port:database:user:password`, `*` for any, `\` before a `:` or `\` that is meant. */
export function passwordFor(passfile: string, { host, port, database, user }: SourceAddress): string | undefined {
  // On a socket libpq says localhost of the directory that it is built for.
  const wanted = [host.startsWith("/") ? [host, "localhost"] : [host], [String(port)], [database], [user]];
  for (const line of passfile.split(/\r?\n/)) {
    if (line.startsWith("#")) continue;
    const [, ...fields] = LINE.exec(line) ?? [];
    const password = fields[4];
    if (password === undefined) continue;
    const fits = wanted.every((values, i) => fields[i] === "*" || values.includes(unescaped(fields[i] ?? "")));
    if (fits) return unescaped(password);
  }
  return undefined;
}

function unescaped(field: string): string {
  return field.replace(/\\(.)/g, "$1");
}
