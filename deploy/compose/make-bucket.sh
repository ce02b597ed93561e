#!/bin/sh
# Makes the repository's bucket, unless it is there. The keys come from the environment: ADMIN_ACCESS_KEY and
# ADMIN_SECRET_KEY; the bucket belongs to the first.
set -eu
if versitygw admin --endpoint-url "$S3_ENDPOINT" list-buckets | grep -qw "$BUCKET"; then
  echo "bucket $BUCKET is there"
else
  versitygw admin --endpoint-url "$S3_ENDPOINT" create-bucket --owner "$ADMIN_ACCESS_KEY" --bucket "$BUCKET"
  echo "bucket $BUCKET made"
fi
