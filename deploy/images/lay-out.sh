#!/bin/sh
# Lays out in /app one package of the workspace, the workspace packages that it runs on, and what these depend on:
#   lay-out.sh vault
# The workspace is copied, pruned. `pnpm deploy` is no way: it puts our sources below node_modules, where Node strips no
# types.
set -eu
workspace=$(pwd)
mkdir -p /app
packages=$(pnpm --filter-prod "@stillpoint/$1..." list --depth -1 --parseable)
for package in $packages; do
  at=${package#"$workspace"/}
  mkdir -p "/app/$(dirname "$at")"
  cp -R "$package" "/app/$at"
done
cp package.json pnpm-lock.yaml pnpm-workspace.yaml /app/
cd /app
pnpm install --prod --frozen-lockfile --offline
