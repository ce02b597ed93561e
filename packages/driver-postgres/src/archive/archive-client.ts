/** Where the hand-over lies: inside the data directory, which recovery's commands run in and whose file system they share. */
export const ARCHIVE_PATH = "stillpoint/archive";

/** What stands in it. `asked/<name>`: wanted now. `ready/<name>`: to be taken. `absent/<name>`: there is no such file. */
export const ARCHIVE_PLACES = { asked: "asked", ready: "ready", absent: "absent" } as const;
export const CLIENT_FILE = "client";
/** Why nothing is given any more, for the server's log. */
export const FAILED_FILE = "failed";
/** A number that grows while somebody lives who answers. */
export const BEAT_FILE = "beat";

/** A client that waits looks so often, and sees the beat stand still for so many looks before it gives up. */
const LOOK_S = "0.02";
const LOOKS_WITHOUT_BEAT = 1_000;
const ASKED_EVERY = 100;

/** The client's own word for "there is no such file": a shell that fails by itself ends with 1, 2 or 127. */
const ABSENT = 77;

/**
 * The setting, relative to the data directory: there is nothing in it to quote. PostgreSQL takes every code from 1 to 125 for
 * "the log ends here: open", so that 1 is given for that one word only; also where the client itself is gone it is 126, which
 * ends recovery. A 0 without a file would be taken for the end, too.
 */
export function archiveCommand(directory: string): string {
  return `sh ${directory}/${CLIENT_FILE} %f %p; case $? in 0) [ -f %p ] || exit 126;; ${ABSENT}) exit 1;; *) exit 126;; esac`;
}
export const ARCHIVE_COMMAND = archiveCommand(ARCHIVE_PATH);

/**
 * What PostgreSQL starts for each file that it wants. A start of Node takes 50 ms and more, so it is the shell, which takes a
 * file that lies there by a rename, and needs no other program for it but `mv`.
 */
export const ARCHIVE_CLIENT = `# $1: the file, $2: where PostgreSQL wants it. Called in the data directory.
archive=\${0%/*}
end() { echo "stillpoint: $1: $2" >&2; exit 126; }
case $1 in ''|*[!0-9A-Za-z.]*) end "$1" "no name of a WAL file";; esac
# An answer that was never taken.
if [ -e "$archive/absent/$1" ]; then rm -f "$archive/absent/$1" || end "$1" "an old answer cannot be taken away"; fi
last= looks=0 round=0
while :; do
  # Again every now and then: who was told of trouble has forgotten the question.
  if [ $((round % ${ASKED_EVERY})) -eq 0 ]; then
    echo "$2" 2>/dev/null > "$archive/asked/$1" || end "$1" "nobody gives the log here any more"
  fi
  round=$((round + 1))
  if [ -e "$archive/ready/$1" ]; then
    mv -f "$archive/ready/$1" "$2" || end "$1" "it cannot be laid in its place"
    exit 0
  fi
  if [ -e "$archive/absent/$1" ]; then
    rm -f "$archive/absent/$1" || end "$1" "the answer cannot be taken"
    exit ${ABSENT}
  fi
  if [ -e "$archive/failed" ]; then read -r why < "$archive/failed"; end "$1" "$why"; fi
  beat=
  read -r beat 2>/dev/null < "$archive/beat"
  if [ "$beat" = "$last" ]; then looks=$((looks + 1)); else last=$beat looks=0; fi
  [ "$looks" -lt ${LOOKS_WITHOUT_BEAT} ] || end "$1" "who gives the log is gone"
  sleep ${LOOK_S} || end "$1" "sleep failed"
done
`;
