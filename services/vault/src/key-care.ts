import { StillpointError } from "@stillpoint/contracts/errors";
import type { OpenTarget } from "@stillpoint/object-store/open-target";
import { configuredOpener, type KeyChoice } from "@stillpoint/repository/keys/configured-opener";
import type { KeyDue } from "@stillpoint/repository/keys/key-dues";
import type { Opener } from "@stillpoint/repository/keys/opener";
import { reviewKeys } from "@stillpoint/repository/keys/review-keys";
import { type KeyReview, rotateIfDue } from "@stillpoint/repository/keys/rotate-if-due";
import type { ServiceContext } from "@stillpoint/service/define-service";
import { Gauge } from "prom-client";
import type { VaultConfig } from "./config.ts";

const DAY_MS = 86_400_000;
const BY = "vault";

/** Which of its settings says what opens the repository. */
export function keyChoiceOf(config: Readonly<VaultConfig>): KeyChoice {
  return {
    keyFile: config.STILLPOINT_KEY_FILE,
    kmsKey: config.STILLPOINT_KMS_KEY,
    transitKey: config.STILLPOINT_TRANSIT_KEY,
  };
}

export type KeyCare = {
  opener: Opener;
  /** Shows when the keys are due, and answers which epoch is the newest. Every vault does it for itself; it changes nothing. */
  review: () => Promise<{ epoch: number }>;
  /** Replaces what is due; one vault at a time. */
  rotate: () => Promise<KeyReview>;
};

/** The repository's keys as this process keeps them. */
export async function keyCare(
  { config, environment, clock, random, registry }: ServiceContext<VaultConfig>,
  { store, name }: Pick<OpenTarget, "store" | "name">,
): Promise<KeyCare> {
  const choice = keyChoiceOf(config);
  let opener = await configuredOpener(choice, environment);
  const due = new Gauge({
    name: "stillpoint_key_due_timestamp_seconds",
    help: "When each key of the repository is to be replaced",
    labelNames: ["slot", "method"],
    registers: [registry],
  });
  const show = (keys: readonly KeyDue[]) => {
    due.reset();
    for (const { slot, method, dueAt } of keys) due.set({ slot, method }, Date.parse(dueAt) / 1_000);
  };
  const periodMs = config.STILLPOINT_KEY_ROTATION_DAYS * DAY_MS;
  const options = { random, now: clock.now, by: BY, target: name, periodMs };
  return {
    opener,
    async review() {
      const { epoch, keys } = await reviewKeys(store, opener, options).catch(async (error: unknown) => {
        if (!(error instanceof StillpointError) || error.code !== "KEY_WRONG") throw error;
        // Another vault, or a person, has put a new key into the file.
        opener = await configuredOpener(choice, environment);
        return reviewKeys(store, opener, options);
      });
      show(keys);
      return { epoch };
    },
    async rotate() {
      const review = await rotateIfDue(store, choice, {
        ...options,
        environment,
        mode: config.STILLPOINT_KEY_ROTATION,
      });
      show(review.keys);
      return review;
    },
  };
}
