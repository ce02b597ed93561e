import { parseArgs } from "node:util";
import { StillpointError } from "@stillpoint/contracts/errors";

/** Options that are numbers above 0, with what counts where they are not given. Throws INVALID_REQUEST. */
export function numbersOf<Name extends string>(
  args: readonly string[],
  otherwise: Readonly<Record<Name, number>>,
  usage: string,
): Record<Name, number> {
  const numbers: Record<Name, number> = { ...otherwise };
  const names = Object.keys(otherwise) as Name[]; // its own keys, and no others: checked by the type
  try {
    const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
    const { values } = parseArgs({ args: [...args], options });
    for (const name of names) {
      const text = values[name];
      if (text !== undefined) numbers[name] = Number(text);
      if (!(numbers[name] > 0)) throw new Error(`--${name} with a number above 0, not ${String(text)}`);
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new StillpointError("INVALID_REQUEST", { what: "Cannot begin the soak", why, hint: usage });
  }
  return numbers;
}
