import type { MaintenanceProblem } from "@stillpoint/contracts/maintenance";
import type { CheckReport } from "@stillpoint/repository/check/report";

const REPAIR = "stillpoint repo repair --plan-out repair.json; look at it; then with --apply repair.json";

/** What was damaged, and what a second read found sound: the first hurts points, the second asks for a look at the store. */
export function problemsOf({ problems, transient }: Pick<CheckReport, "problems" | "transient">): MaintenanceProblem[] {
  return [
    ...problems.map(({ object, why, backups, points }): MaintenanceProblem => {
      const hurt =
        points.length > 0 ? `points ${points.join(", ")}` : backups.length > 0 ? `backups ${backups.join(", ")}` : "";
      return { severity: "damage", where: object, why: hurt === "" ? why : `${why}; hurts ${hurt}`, hint: REPAIR };
    }),
    ...transient.map(
      ({ object, why }): MaintenanceProblem => ({
        severity: "attention",
        where: object,
        why: `transient: ${why}, and sound when it was read again`,
        hint: "look at the store, its disks and the way to it",
      }),
    ),
  ];
}
