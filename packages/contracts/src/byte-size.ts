import { z } from "zod";

const UNITS = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
} as const;
const FORM = /^(\d+(?:\.\d+)?) ?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$/;

function bytesOf(text: string): number {
  const [, number, unit] = FORM.exec(text) ?? [];
  const bytes = UNITS[unit as keyof typeof UNITS]; // the regular expression allows no other
  return Math.round(Number(number) * bytes);
}

/** `500 kB`, `20MB`, `1.5 GiB`; bytes once parsed. */
export const byteSize = z
  .string()
  .regex(FORM, "must be a number and a unit: 500 kB, 20 MB, 1.5 GiB")
  .transform(bytesOf)
  .refine((bytes) => bytes > 0, "must be more than nothing");
