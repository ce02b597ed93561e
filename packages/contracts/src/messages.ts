import type { z } from "zod";
import { StillpointError } from "./errors.ts";

/** Everything on the bus lives below this; a change that an old reader cannot bear gets a new version. */
export const SUBJECT_ROOT = "stillpoint.v1";

type ParameterOf<Subject extends string> = Subject extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ParameterOf<Rest>
  : never;
/** The parameters of a subject template: `cmd.run.{plan}` needs `{plan}`. */
export type SubjectParameters<Subject extends string> = { [Name in ParameterOf<Subject>]: string };

/** Kept in the work queue until one taker has done it; at most one per subject. */
export type Command<Subject extends string = string, Body extends z.ZodType = z.ZodType> = {
  form: "command";
  subject: Subject;
  body: Body;
};
/** A fact, in the past tense, kept for 30 days. `key` makes a fact told twice one fact. */
export type Event<Subject extends string = string, Body extends z.ZodType = z.ZodType> = {
  form: "event";
  subject: Subject;
  body: Body;
};
/** Asked and answered at once, kept nowhere. */
export type Request<
  Subject extends string = string,
  Body extends z.ZodType = z.ZodType,
  Reply extends z.ZodType = z.ZodType,
> = { form: "request"; subject: Subject; body: Body; reply: Reply };
/** Told to whoever listens now, kept nowhere. */
export type Signal<Subject extends string = string, Body extends z.ZodType = z.ZodType> = {
  form: "signal";
  subject: Subject;
  body: Body;
};

export function defineCommand<const Subject extends string, Body extends z.ZodType>(
  subject: Subject,
  body: Body,
): Command<Subject, Body> {
  return { form: "command", subject, body };
}
export function defineEvent<const Subject extends string, Body extends z.ZodType>(
  subject: Subject,
  body: Body,
): Event<Subject, Body> {
  return { form: "event", subject, body };
}
export function defineRequest<const Subject extends string, Body extends z.ZodType, Reply extends z.ZodType>(
  subject: Subject,
  body: Body,
  reply: Reply,
): Request<Subject, Body, Reply> {
  return { form: "request", subject, body, reply };
}
export function defineSignal<const Subject extends string, Body extends z.ZodType>(
  subject: Subject,
  body: Body,
): Signal<Subject, Body> {
  return { form: "signal", subject, body };
}

const TOKEN = /^[A-Za-z0-9_-]+$/;

function tokenOf(template: string, key: string, value: string | undefined): string {
  if (value !== undefined && TOKEN.test(value)) return value;
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot make a subject",
    where: `${template}, parameter ${key}`,
    why: `${JSON.stringify(value)} is not one token of A-Z, a-z, 0-9, _ and -`,
  });
}

/** The full subject; a parameter that is not one plain token is refused. */
export function subjectOf<Subject extends string>(template: Subject, parameters: SubjectParameters<Subject>): string {
  const values: Readonly<Record<string, string | undefined>> = parameters;
  return `${SUBJECT_ROOT}.${template.replace(/\{(\w+)\}/g, (_, key: string) => tokenOf(template, key, values[key]))}`;
}

/**
 * The subject filter that matches a template: parameters that are given stay, the others become `*`. A given one that is
 * no plain token is refused here too, for a filter also names what is purged.
 */
export function filterOf<Subject extends string>(
  template: Subject,
  parameters: Partial<SubjectParameters<Subject>> = {},
): string {
  const values: Readonly<Record<string, string | undefined>> = parameters;
  const filter = template.replace(/\{(\w+)\}/g, (_, key: string) => {
    const value = values[key];
    return value === undefined ? "*" : tokenOf(template, key, value);
  });
  return `${SUBJECT_ROOT}.${filter}`;
}

/** The parameters of a concrete subject; undefined if the template does not match. */
export function parametersOf<Subject extends string>(
  template: Subject,
  subject: string,
): SubjectParameters<Subject> | undefined {
  const wanted = `${SUBJECT_ROOT}.${template}`.split(".");
  const given = subject.split(".");
  if (wanted.length !== given.length) return undefined;
  const values: Record<string, string> = {};
  for (const [at, part] of wanted.entries()) {
    const value = given[at] ?? "";
    const parameter = /^\{(\w+)\}$/.exec(part)?.[1];
    if (parameter !== undefined) values[parameter] = value;
    else if (part !== value) return undefined;
  }
  return values as SubjectParameters<Subject>; // the keys were read from the same template
}
