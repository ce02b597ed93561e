import type { Bus } from "@stillpoint/bus/bus";
import { StillpointError } from "@stillpoint/contracts/errors";
import { toInstant } from "@stillpoint/contracts/names";
import { type TicketClaims, vaultLogToken, vaultRevokeLogTokens } from "@stillpoint/contracts/vault";
import type { SourceOfPlan } from "@stillpoint/repository/log/source-log";
import type { Repository } from "@stillpoint/repository/repository";
import { mintTicket } from "./tickets.ts";

const DAY_MS = 86_400_000;
/** A token that was revoked through another vault is taken here for so long yet. */
const LOOK_MS = 10_000;

type TokenRepository = Pick<Repository, "tokenGeneration" | "revokeTokens">;

/** Whether a long-lived token still counts: its generation is looked up in the repository, for a bus forgets. */
export function tokenCheck(repository: TokenRepository, now: () => number) {
  const known = new Map<string, { generation: number; atMs: number }>();
  const generationOf = async ({ plan, source }: SourceOfPlan): Promise<number> => {
    const key = `${plan}/${source}`;
    const before = known.get(key);
    if (before !== undefined && Math.abs(now() - before.atMs) < LOOK_MS) return before.generation;
    const generation = await repository.tokenGeneration({ plan, source });
    known.set(key, { generation, atMs: now() });
    return generation;
  };
  return {
    forget: ({ plan, source }: SourceOfPlan) => void known.delete(`${plan}/${source}`),
    async assertCounts(claims: TicketClaims): Promise<void> {
      if (claims.purpose !== "push" || claims.generation >= (await generationOf(claims))) return;
      throw new StillpointError("TICKET_INVALID", {
        what: "The token is not valid any more",
        where: `${claims.plan}/${claims.source}`,
        why: "it was revoked",
        hint: "a new one: stillpoint wal token",
      });
    },
  };
}
export type TokenCheck = ReturnType<typeof tokenCheck>;

export type TokenMinter = {
  repository: TokenRepository;
  bus: Bus;
  ticketKey: Uint8Array;
  vaultUrl: string;
  now: () => number;
  check: TokenCheck;
};

/** Answers who wants such a token, or wants that none of those before counts. */
export async function answerLogTokens(
  { repository, bus, ticketKey, vaultUrl, now, check }: TokenMinter,
  queue: { queue: string },
  resources: AsyncDisposableStack,
): Promise<void> {
  resources.use(
    await bus.answer(vaultLogToken, queue, async ({ body: { days, ...of } }) => {
      const generation = await repository.tokenGeneration(of);
      const expiresAtMs = now() + days * DAY_MS;
      const token = mintTicket(ticketKey, { purpose: "push", ...of, generation }, expiresAtMs);
      return { vaultUrl, token, generation, expiresAt: toInstant(expiresAtMs) };
    }),
  );
  resources.use(
    await bus.answer(vaultRevokeLogTokens, queue, async ({ body: { by, ...of } }) => {
      const generation = await repository.revokeTokens(of, by);
      check.forget(of);
      return { generation };
    }),
  );
}
