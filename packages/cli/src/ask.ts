import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { StillpointError } from "@stillpoint/contracts/errors";
import { Secret } from "@stillpoint/contracts/secret";

/** Whom a command can ask. */
export type Person = {
  /** Nobody is there where standard input is no terminal. */
  isThere: boolean;
  /** The next line of standard input; undefined at its end. */
  line: (question: string) => Promise<string | undefined>;
  /** The same without showing what is typed. */
  hiddenLine: (question: string) => Promise<string | undefined>;
};

export function personAt(stdin: NodeJS.ReadStream, say: (text: string) => void): Person {
  const isThere = stdin.isTTY === true;
  async function read(question: string, isHidden: boolean): Promise<string | undefined> {
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
    // As a terminal, readline turns the terminal's own echo off, and writes what is typed to where nobody sees it.
    const lines = createInterface({ input: stdin, output: nowhere, terminal: isThere && isHidden, historySize: 0 });
    try {
      const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
      lines.once("line", resolve);
      lines.once("close", () => resolve(undefined));
      lines.once("SIGINT", () => reject(new StillpointError("CANCELLED", { what: "Interrupted" })));
      // Asked only now: what is typed before the echo is off would be shown.
      if (isThere) say(question);
      return await promise;
    } finally {
      lines.close();
      if (isThere && isHidden) say("\n");
    }
  }
  return { isThere, line: (question) => read(question, false), hiddenLine: (question) => read(question, true) };
}

/** Goes on only where a person said so: by `--yes`, or now. */
export async function confirm(person: Person, what: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (person.isThere) {
    const answer = await person.line(`${what} Type yes to go on: `);
    if (answer?.trim() === "yes") return;
    throw new StillpointError("CANCELLED", { what: "Nothing was done" });
  }
  throw new StillpointError("INVALID_REQUEST", {
    what: "Nothing was done",
    where: "--yes",
    why: "nobody is there to be asked",
    hint: "look at --dry-run, then say --yes",
  });
}

/** A new passphrase: typed twice by a person, or one line from a program. */
export async function askPassphrase(person: Person): Promise<Secret> {
  const first = await person.hiddenLine("New passphrase: ");
  const second = person.isThere ? await person.hiddenLine("The same again: ") : first;
  if (first === undefined || first === "" || first !== second)
    throw new StillpointError("INVALID_REQUEST", {
      what: "Nothing was done",
      where: "passphrase",
      why: first === second ? "it is empty" : "the two are not the same",
      hint: "type it on the terminal, or give it on standard input",
    });
  return new Secret(first);
}
