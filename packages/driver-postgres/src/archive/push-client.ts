export const PUSH_PLACES = { asked: "asked", done: "done", failed: "failed" } as const;
export const PUSH_CLIENT_FILE = "push";

const LOOK_S = "0.02";
const LOOKS_WITHOUT_BEAT = 1_000;

/**
 * What a server starts for each file that it archives, in its data directory: `sh <directory>/push %p %f`. 0 where the file is
 * durable, which it may be before it is asked; else 1, and the server tries again.
 */
export const PUSH_CLIENT = `# $1: the file's path, $2: its name.
home=\${0%/*}
end() { echo "stillpoint: $1: $2" >&2; exit 1; }
case $2 in ''|*[!0-9A-Za-z.]*) end "$2" "no name of a WAL file";; esac
if [ -e "$home/failed/$2" ]; then rm -f "$home/failed/$2" || end "$2" "an old answer cannot be taken away"; fi
last= looks=0 asked=
while :; do
  if [ -e "$home/done/$2" ]; then
    rm -f "$home/done/$2" || end "$2" "the answer cannot be taken"
    exit 0
  fi
  if [ -z "$asked" ]; then
    case $1 in /*) path=$1;; *) path=$PWD/$1;; esac
    echo "$path" 2>/dev/null > "$home/asked/$2" || end "$2" "stillpoint wal serve does not run"
    asked=1
  fi
  if [ -e "$home/failed/$2" ]; then read -r why < "$home/failed/$2"; end "$2" "$why"; fi
  beat=
  read -r beat 2>/dev/null < "$home/beat"
  if [ "$beat" = "$last" ]; then looks=$((looks + 1)); else last=$beat looks=0; fi
  [ "$looks" -lt ${LOOKS_WITHOUT_BEAT} ] || end "$2" "stillpoint wal serve does not answer"
  sleep ${LOOK_S} || end "$2" "sleep failed"
done
`;
