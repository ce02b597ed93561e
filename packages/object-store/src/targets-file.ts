import { StillpointError } from "@stillpoint/contracts/errors";
import { LineCounter, parseDocument } from "yaml";
import type { z } from "zod";
import { type TargetsSpec, targetsSpec } from "./target-spec.ts";

function refused(path: string, why: string, cause: unknown): StillpointError {
  return new StillpointError("CONFIG_INVALID", {
    what: "The targets file cannot be used",
    where: path,
    why,
    hint: "docs/guide/targets.md has every field",
    cause,
  });
}

function shown({ path, message }: z.core.$ZodIssue): string {
  return `${path.length === 0 ? "the file" : path.join(".")}: ${message}`;
}

/** Parses a targets file's text; every wrong field is named. It holds references to secrets, never secrets. */
export function parseTargets(text: string, path: string): TargetsSpec {
  const lines = new LineCounter();
  // Pretty errors show the line itself, in which a secret may stand where it should not.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [broken] = document.errors;
  if (broken !== undefined) throw refused(path, `line ${lines.linePos(broken.pos[0]).line}: ${broken.message}`, broken);
  let value: unknown;
  try {
    value = document.toJS();
  } catch (error) {
    // Aliases that would unfold to a giant.
    throw refused(path, error instanceof Error ? error.message : String(error), error);
  }
  const parsed = targetsSpec.safeParse(value);
  if (parsed.success) return parsed.data;
  throw refused(path, parsed.error.issues.map(shown).join("; "), parsed.error);
}

export function readTargetsFile(path: string, readFile: (path: string) => string): TargetsSpec {
  let text: string;
  try {
    text = readFile(path);
  } catch (error) {
    throw refused(path, error instanceof Error ? error.message : String(error), error);
  }
  return parseTargets(text, path);
}
