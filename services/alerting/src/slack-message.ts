import type { Notice } from "@stillpoint/contracts/alerts";

const COLOURS = { info: "#439fe0", warning: "warning", critical: "danger" } as const;

export type SlackMessage = {
  text: string;
  attachments: {
    color: string;
    fallback: string;
    text: string;
    fields: { title: string; value: string; short: boolean }[];
    ts: number;
  }[];
};

/** The form that Slack's incoming webhooks take, and Mattermost's, Rocket.Chat's and others' too. */
export function slackMessage(notice: Notice): SlackMessage {
  const isOver = notice.kind === "resolved";
  const word = isOver ? "RESOLVED" : notice.severity.toUpperCase();
  const headline = `[${word}] ${notice.title}`;
  const lines = [notice.detail, ...(notice.hint === undefined || isOver ? [] : [`Next: ${notice.hint}`])];
  return {
    text: escapeText(headline),
    attachments: [
      {
        color: isOver ? "good" : COLOURS[notice.severity],
        fallback: escapeText(`${headline}: ${notice.detail}`),
        text: escapeText(lines.join("\n")),
        fields: [
          ...(notice.plan === undefined ? [] : [{ title: "Plan", value: notice.plan, short: true }]),
          { title: "Severity", value: notice.severity, short: true },
          { title: "Condition", value: notice.condition, short: true },
          { title: "At", value: notice.at, short: true },
        ],
        ts: Math.floor(Date.parse(notice.at) / 1_000),
      },
    ],
  };
}

/** Slack's three control characters; everything else it shows as it is. */
function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
