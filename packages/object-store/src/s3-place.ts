/** Where a target's objects lie in its bucket, for requests and for people. */
export type S3Place = { Bucket: string; keyOf: (name: string) => string; where: (name: string) => string };

export function s3Place(Bucket: string, prefix: string): S3Place {
  const keyOf = (name: string) => prefix + name;
  return { Bucket, keyOf, where: (name) => `s3://${Bucket}/${keyOf(name)}` };
}
